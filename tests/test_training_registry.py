"""Every option class documents itself, and every name of the language is either here or noted as not yet here."""

from __future__ import annotations

from importlib import import_module

import pytest
from training_cases import Read, read, read_exports, spec

from dlspec.compiler.semantics.language import TRAIN_KEYS
from dlspec.compiler.training import cadence, language, registry
from dlspec.compiler.training.base import Options

pytestmark = pytest.mark.no_torch

FOLDERS = {
    "data": language.SOURCES,
    "losses": language.LOSSES,
    "metrics": language.METRICS,
    "optimizers": language.OPTIMIZERS,
    "schedules": language.SCHEDULES,
    "formats": language.EXPORTS,
}
EVERY = [(folder, word) for folder in FOLDERS for word in registry.words(folder)]
# A model as wide as the task of the example has tokens.
WORDY = """\
dlspec 1
model LM: (tokens: int[B, T]) -> (logits: [B, T, 12]) {
  Embedding(12, 8) -> Linear(12)
}
"""


def options(folder: str, word: str) -> type[Options]:
    found = registry.find(folder, word, Options)
    assert found is not None
    return found


def read_example(folder: str, word: str) -> Read:
    example = options(folder, word).example
    match folder:
        case "data" if word == "digits":
            return read(spec("pictures", {"data": example}))
        case "data" if word == "arrays":
            return read(spec("table", {"data": example}))
        case "data":
            return read(spec("text", {"data": example}, WORDY))
        case "losses":
            return read(spec("pictures" if "logits, data.label" in example else "table", {"loss": example}))
        case "metrics":
            case = "pictures" if "data.label" in example else "table"
            return read(spec(case, {"metrics": f"[{example}]"}))
        case "optimizers":
            return read(spec("pictures", {"optimizer": example}))
    return read(spec("pictures", {"schedule": example}))


@pytest.mark.parametrize(("folder", "word"), [e for e in EVERY if e[0] != "formats"])
def test_an_example_reads_cleanly(folder: str, word: str) -> None:
    found = read_example(folder, word)
    assert found.diagnostics == []
    assert found.plan is not None


@pytest.mark.parametrize("word", registry.words("formats"))
def test_an_example_of_an_export_reads_cleanly(word: str) -> None:
    plan, diagnostics = read_exports(f"  {options('formats', word).example}")
    assert diagnostics == []
    assert plan is not None
    assert [type(file).__name__.lower() for file in plan.files] == [word]


CADENCES = {
    "validate": cadence.Every,
    "checkpoint": cadence.EveryCheckpoint,
    "sample": cadence.EverySample,
    "early_stop": cadence.Patience,
    "init": cadence.Normal,
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
    assert kind.__doc__.startswith(f"`{word}")
    assert kind.example.startswith(word)
    text = kind.__doc__ + (import_module(kind.__module__).__doc__ or "")
    for option in kind.options:
        if option not in ("files", "file", "path", "kind", "length", "examples"):
            assert option in text, f"{word} says nothing of {option}"


@pytest.mark.parametrize(("folder", "word"), [(f, w) for f in FOLDERS for w in sorted(FOLDERS[f].words)])
def test_what_this_version_has_not_is_noted(folder: str, word: str) -> None:
    if registry.find(folder, word, Options) is not None:
        return
    line = {
        "data": {"data": f"{word}(1)"},
        "losses": {"loss": f"cross_entropy(logits, data.label) + {word}(logits, data.label)"},
        "metrics": {"metrics": f"[{word}(logits, data.label)]"},
        "optimizers": {"optimizer": f"{word}(lr = 1)"},
        "schedules": {"schedule": f"warmup(5%) -> {word}(1)"},
    }
    if folder == "formats":
        diagnostics = read_exports(f'  {word}("a")')[1]
    else:
        changes: dict[str, str | None] = dict(line[folder])
        found = read(spec("pictures", changes))
        diagnostics = found.diagnostics
        assert found.plan is None
    assert [(d.code, d.severity) for d in diagnostics] == [("not-in-this-version", "note")]
    assert f"`{word}`" in diagnostics[0].message


NOTED = {
    "data": "digits -> random_flip -> mixup(0.2)",
    "loss": "cross_entropy(logits, data.label, weight = [1, 2], reduce = sum)",
    "precision": "fp16",
    "parallel": "fsdp + tensor(2)",
    "kernels": "triton",
    "compile": "true",
    "ema": "0.999",
    "freeze": "[stem]",
    "rates": "[head = 10]",
    "start": 'weights("model.safetensors")',
    "init": "he",
    "schedule": "cosine(to = 0, restarts = 3)",
}


@pytest.mark.parametrize("key", NOTED)
def test_what_can_be_left_out_leaves_a_plan(key: str) -> None:
    """A note, and the rest of the recipe is checked and planned as if it were not there."""
    found = read(spec("pictures", {key: NOTED[key]}))
    assert {d.code for d in found.diagnostics} == {"not-in-this-version"}
    assert {d.severity for d in found.diagnostics} == {"note"}
    assert found.plan is not None


def test_a_phase_is_noted_and_asks_for_no_loss_outside() -> None:
    found = read(spec("pictures", {"loss": None}, more="  phase judge {\n    loss = mse(logits, 1)\n  }\n"))
    assert found.codes == ["not-in-this-version"]


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


@pytest.mark.parametrize("table", [*FOLDERS.values(), language.AUGMENTATIONS, language.PRECISIONS, language.KERNELS])
def test_what_other_tools_call_it_leads_to_a_name(table: language.Vocabulary) -> None:
    assert set(table.spellings.values()) <= table.words
    assert not table.spellings.keys() & table.words
