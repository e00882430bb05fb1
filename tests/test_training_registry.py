"""Every name of the language has an option class that documents itself; what this version cannot do is noted."""

from __future__ import annotations

from importlib import import_module

import pytest
from training_cases import read, read_exports, spec
from training_mistakes import SIGMOID

from dlspec.compiler.semantics.language import TRAIN_KEYS
from dlspec.compiler.training import cadence, language, registry
from dlspec.compiler.training.base import Options
from dlspec.compiler.training.optimizers.lion import Lion
from dlspec.compiler.training.schedules.one_cycle import OneCycle
from dlspec.grammar import Diagnostic

pytestmark = pytest.mark.no_torch

FOLDERS = {
    "augmentations": language.AUGMENTATIONS,
    "data": language.SOURCES,
    "formats": language.EXPORTS,
    "inits": language.INITIALISATIONS,
    "losses": language.LOSSES,
    "metrics": language.METRICS,
    "optimizers": language.OPTIMIZERS,
    "parallel": language.PARALLEL,
    "schedules": language.SCHEDULES,
    "starts": language.STARTS,
}
EVERY = [(folder, word) for folder in FOLDERS for word in registry.words(folder)]
LINES = [e for e in EVERY if e[0] != "formats"]
# A model as wide as the task of the example has tokens.
WORDY = """\
dlspec 1
model LM: (tokens: int[B, T]) -> (logits: [B, T, 12]) {
  Embedding(12, 8) -> Linear(12)
}
"""
PAIRS = """\
dlspec 1
model LM: (source: int[B, S], target: int[B, T]) -> (logits: [B, T, 8_000]) {
  source -> Embedding(8_000, 8) -> mean(over = 1, keep = true) as a
  target -> Embedding(8_000, 8) as b
  a + b -> Linear(8_000)
}
"""
SOUND = "dlspec 1\nmodel Net: (audio: [B, T, 1]) -> (logits: [B, 10]) {\n  first -> Linear(10)\n}\n"
MODELS = {"pairs": PAIRS, "audio": SOUND}


def features(width: int, classes: int | None) -> str:
    out = "output: [B, 1]" if classes is None else f"output: [B, {classes}]"
    return f"dlspec 1\nmodel Net: (features: [B, {width}]) -> ({out}) {{\n  Linear({classes or 1})\n}}\n"


TABLES = {
    "table": (2, None),
    "iris": (4, 3),
    "wine": (13, 3),
    "breast_cancer": (30, 2),
    "diabetes": (10, None),
}


def options(folder: str, word: str) -> type[Options]:
    found = registry.find(folder, word, Options)
    assert found is not None
    return found


def line_of(folder: str, word: str, call: str) -> str:
    """A spec in which a call of the class stands where it fits, and is right where the call is."""
    match folder:
        case "data" if word in TABLES:
            width, classes = TABLES[word]
            loss = "mse(output, data.target)" if classes is None else "cross_entropy(output, data.label)"
            return spec("table", {"data": call, "loss": loss}, features(width, classes))
        case "data" if word in ("digits", "images", "idx"):
            return spec("pictures", {"data": call}, picture(3 if word == "images" else 1))
        case "data" if word == "arrays":
            return spec("table", {"data": call})
        case "data" if word == "audio":
            return spec("pictures", {"data": call, "loss": "mse(logits, logits)"}, SOUND)
        case "data":
            return spec("text", {"data": call}, MODELS.get(word, WORDY))
        case "augmentations" if word == "mask_tokens":
            return spec("text", {"data": f'text("*.txt", window = context) -> {call}'})
        case "augmentations" if word == "two_views":
            model = "dlspec 1\nmodel M: (view1: [B, 1, 8, 8], view2: [B, 1, 8, 8]) -> (logits: [B, 10]) {\n"
            return spec(
                "pictures", {"data": f"digits -> {call}"}, f"{model}  view1 + view2 -> flatten -> Linear(10)\n}}\n"
            )
        case "augmentations" if word == "random_grayscale":
            return spec("pictures", {"data": f'images("flowers/", size = 8) -> {call}'}, picture(3))
        case "augmentations":
            return spec("pictures", {"data": f"digits -> {call}"})
        case "losses" | "metrics":
            call = f"mse(output, data.y) + 1e-5 * {call}" if word == "l1" else call
            key, text = ("loss", call) if folder == "losses" else ("metrics", f"[{call}]")
            case = "pictures" if "data.label" in call else "text" if "data.targets" in call else "table"
            return spec(case, {key: text}, SIGMOID if word == "binary_cross_entropy" else None)
        case "schedules":
            return spec("pictures", {"schedule": call, "validate": "every(epoch)"})
        case "formats":
            return f"  {call}"
    key = {"inits": "init", "optimizers": "optimizer", "parallel": "parallel", "starts": "start"}[folder]
    return spec("pictures", {key: call})


def picture(channels: int) -> str:
    ports = f"(image: [B, {channels}, 8, 8]) -> (logits: [B, 10])"
    return f"dlspec 1\nmodel Net: {ports} {{\n  flatten -> Linear(10)\n}}\n"


def read_line(folder: str, word: str, call: str) -> list[Diagnostic]:
    """What is said of a call of the class."""
    text = line_of(folder, word, call)
    return read_exports(text)[1] if folder == "formats" else read(text).diagnostics


def is_noted(diagnostics: list[Diagnostic], word: str) -> bool:
    """Whether the one thing that is said is that this version cannot do it."""
    said = [(d.code, d.severity) for d in diagnostics]
    return said == [("not-in-this-version", "note")] and f"`{word}`" in diagnostics[0].message


@pytest.mark.parametrize(("folder", "word"), LINES)
def test_an_example_reads_cleanly(folder: str, word: str) -> None:
    kind = options(folder, word)
    found = read(line_of(folder, word, kind.example))
    said = [d for d in found.diagnostics if word != "random_grayscale" or "`images`" not in d.message]
    assert found.plan is not None, [d.message for d in found.diagnostics]
    if kind.runs:
        assert said == []
        assert found.plan.runs
    else:
        assert is_noted(said, word), [d.message for d in found.diagnostics]


@pytest.mark.parametrize("word", registry.words("formats"))
def test_an_example_of_an_export_reads_cleanly(word: str) -> None:
    kind = options("formats", word)
    plan, diagnostics = read_exports(f"  {kind.example}")
    assert diagnostics == [] if kind.runs else is_noted(diagnostics, word)
    assert plan is not None
    assert [type(file).__name__.lower() for file in plan.files] == [word]


CADENCES = {
    "validate": cadence.Every,
    "checkpoint": cadence.EveryCheckpoint,
    "sample": cadence.EverySample,
    "early_stop": cadence.Patience,
}


@pytest.mark.parametrize("key", CADENCES)
def test_an_example_of_a_cadence_reads_cleanly(key: str) -> None:
    changes: dict[str, str | None] = {key: CADENCES[key].example}
    found = read(spec("text", {"validate": "every(10)", **changes}))
    assert found.diagnostics == []


@pytest.mark.parametrize(("folder", "word"), EVERY)
def test_a_class_is_a_page_of_the_reference(folder: str, word: str) -> None:
    kind = options(folder, word)
    assert word in FOLDERS[folder].words
    assert kind.__doc__ is not None
    assert word in kind.__doc__.partition(":")[0]
    assert word in kind.example.partition("(")[0]
    text = kind.__doc__ + (import_module(kind.__module__).__doc__ or "")
    for option in kind.options:
        if option not in ("files", "file", "path", "kind", "length", "examples", "folder"):
            assert option in text, f"{word} says nothing of {option}"


@pytest.mark.parametrize(("folder", "word"), [(f, w) for f in FOLDERS for w in sorted(FOLDERS[f].words)])
def test_every_name_has_a_class(folder: str, word: str) -> None:
    if (folder, word) == ("parallel", "none"):
        return
    assert registry.find(folder, word, Options) is not None


NOTED = {
    "parallel": "fsdp + tensor(2)",
    "compile": "true",
}


@pytest.mark.parametrize("key", NOTED)
def test_what_can_be_left_out_leaves_a_recipe(key: str) -> None:
    """A note, and the rest of the recipe is checked and can be written as if it were not there."""
    found = read(spec("pictures", {key: NOTED[key]}))
    assert {(d.code, d.severity) for d in found.diagnostics} == {("not-in-this-version", "note")}
    assert found.plan is not None and found.plan.runs


@pytest.mark.parametrize(
    ("key", "value", "kind"), [("optimizer", "Lion(lr = 1e-4)", Lion), ("schedule", "one_cycle", OneCycle)]
)
def test_what_cannot_be_left_out_leaves_none(
    key: str, value: str, kind: type[Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe without it would be another one: it is planned and not written."""
    monkeypatch.setattr(kind, "runs", False)
    found = read(spec("pictures", {key: value}))
    assert {(d.code, d.severity) for d in found.diagnostics} == {("not-in-this-version", "note")}
    assert found.plan is not None and not found.plan.runs


BROKEN = {
    "precision": "fp17",
    "parallel": "fsdp + tensor(0)",
    "kernels": "tritn",
    "compile": "maybe",
    "ema": "1.5",
    "freeze": "[3]",
    "rates": "[linear = 0]",
    "start": 'weights("")',
    "init": "he(gain = 0)",
}


@pytest.mark.parametrize("key", BROKEN)
def test_a_note_waits_for_the_errors_of_its_line(key: str) -> None:
    found = read(spec("pictures", {key: BROKEN[key]}))
    assert [d.severity for d in found.diagnostics] == ["error"]


@pytest.mark.parametrize("key", sorted(TRAIN_KEYS - {"data", "loss", "optimizer", "batch", "steps", "epochs"}))
def test_none_is_as_if_a_key_were_not_there(key: str) -> None:
    found = read(spec("pictures", {key: "none"}))
    assert found.diagnostics == []
    assert found.plan is not None


IDLE = {"parallel": "none", "kernels": "auto", "compile": "false", "precision": "fp32", "seed": "0"}


def test_what_asks_for_nothing_is_taken() -> None:
    assert read(spec("pictures", {**IDLE})).diagnostics == []
    loss = "cross_entropy(logits, data.label, weight = none, reduce = mean)"
    assert read(spec("pictures", {"loss": loss})).diagnostics == []


@pytest.mark.parametrize("table", [*FOLDERS.values(), language.PRECISIONS, language.KERNELS])
def test_what_other_tools_call_it_leads_to_a_name(table: language.Vocabulary) -> None:
    assert set(table.spellings.values()) <= table.words
    assert not table.spellings.keys() & table.words
