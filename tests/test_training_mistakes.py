"""Every mistake in a `train` section is told where it stands, with what to write; what is right is not."""

from __future__ import annotations

import pytest
from training_cases import PICTURES, TEXT, read, read_case, spec
from training_mistakes import MISTAKES, Mistake
from training_mistakes_data import DATA_MISTAKES
from training_mistakes_learning import LEARNING_MISTAKES
from training_mistakes_losses import LOSS_MISTAKES

from dlspec.grammar import Diagnostic

pytestmark = pytest.mark.no_torch

ALL = [*MISTAKES, *DATA_MISTAKES, *LOSS_MISTAKES, *LEARNING_MISTAKES]


def told(diagnostic: Diagnostic) -> str:
    labels = "\n".join(text for _, text in diagnostic.labels)
    return "\n".join([diagnostic.message, diagnostic.label, labels, diagnostic.help])


@pytest.mark.parametrize("mistake", ALL, ids=str)
def test_a_mistake_is_told(mistake: Mistake) -> None:
    found = read(spec(mistake.case, mistake.changes, mistake.model, mistake.more))
    wanted = [d for d in found.diagnostics if d.code == mistake.code and d.span.text == mistake.caret]
    assert wanted, [(d.code, d.span.text, d.message) for d in found.diagnostics]
    (diagnostic,) = wanted
    assert diagnostic.severity == mistake.severity
    assert diagnostic.label
    for text in mistake.says:
        assert text in told(diagnostic)
    assert (found.plan is None) == (mistake.severity == "error")


@pytest.mark.parametrize("mistake", ALL, ids=str)
def test_nothing_else_is_said(mistake: Mistake) -> None:
    """One mistake is one finding: nothing follows from it."""
    found = read(spec(mistake.case, mistake.changes, mistake.model, mistake.more))
    said = [(d.code, d.message) for d in found.diagnostics if d.code != "not-in-this-version"]
    assert len(said) == 1, said


@pytest.mark.parametrize("mistake", [m for m in ALL if m.right or m.right_model], ids=str)
def test_what_is_right_is_not_told(mistake: Mistake) -> None:
    """What this version cannot do is noted, where it is right."""
    found = read(spec(mistake.case, mistake.right, mistake.right_model or mistake.model))
    assert {d.code for d in found.diagnostics} <= {"not-in-this-version"}
    assert found.plan is not None


def test_the_machine_can_apply_what_it_offers() -> None:
    """Each fix of each mistake, put in, cures it."""
    fixes = 0
    for mistake in ALL:
        found = read(spec(mistake.case, mistake.changes, mistake.model, mistake.more))
        for diagnostic in found.diagnostics:
            for fix in diagnostic.fixes:
                text = found.source.text
                cured = read(text[: fix.span.start] + fix.text + text[fix.span.end :])
                assert diagnostic.code not in cured.codes, (mistake, fix.text)
                fixes += 1
    assert fixes > 25


def test_all_mistakes_are_found_in_one_run() -> None:
    found = read_case("pictures", loss="cross_entropy(logit, data.label)", optimizer="AdamW(lr = 0)", batch="0")
    assert found.codes == ["unknown-name", "wrong-value", "wrong-value"]
    assert [d.span.line for d in found.diagnostics] == sorted(d.span.line for d in found.diagnostics)


@pytest.mark.parametrize("case", ["pictures", "text"])
def test_what_an_error_left_open_is_not_told_again(case: str) -> None:
    """The model has a fault of its own: its output has no type, and the recipe says nothing about it."""
    model = {"pictures": PICTURES, "text": TEXT}[case].replace("Linear(", "Liner(")
    assert (
        read(spec(case, {"metrics": "[accuracy(logits, data.label)]"} if case == "pictures" else {}, model)).codes == []
    )


@pytest.mark.parametrize(
    ("case", "model"), [("pictures", PICTURES.replace("= 10", "= 9")), ("text", TEXT.replace("= 256", "= 300"))]
)
def test_what_does_not_go_together_is_told_once(case: str, model: str) -> None:
    """By the loss: the metrics compare the same two."""
    target = {"pictures": "data.label", "text": "data.targets"}[case]
    metrics = f"[accuracy(logits, {target}), perplexity(logits, {target}), accuracy(logits, {target}, top = 2)]"
    found = read(spec(case, {"metrics": metrics}, model))
    assert found.codes == ["head-width"]
    assert found.diagnostics[0].span.line == found.source.text[: found.source.text.index("loss =")].count("\n") + 1


FAULTS = """\
dlspec 1
classes = 10
model MLP: (image: [B, 1, 8, 8]) -> (logits: [B, classes]) {
  flatten -> Linear(classes)
}
train MLP {
  data      = digits(split = [0.9, 0.2]) -> random_crop(0, paddin = 2) -> mixp(0.2)
  loss      = cross_entropy(logit, data.label, smoothing = 2, ignored = 1)
  metrics   = [accuracy(logits, data.label, top = 0), f2(logits, data.label)]
  optimizer = AdamW(lr = 0, beta1 = 0.8, decay = 0 - 1)
  schedule  = warmup(120%) -> cosin(to = 0)
  batch_sz  = 64
  steps     = 0
  precision = fp17
  start     = weights("", skp = [head])
  freeze    = [3, hed]
  rates     = [linear = 0, linea = 2]
}
"""
TOLD = """
wrong-value [0.9, 0.2]
wrong-value 0
unknown-option paddin
unknown-name mixp
unknown-name logit
wrong-value 2
unknown-option ignored
wrong-value 0
unknown-name f2
wrong-value 0
unknown-option beta1
wrong-value 0 - 1
wrong-value 120%
unknown-name cosin
unknown-key batch_sz
wrong-value 0
unknown-name fp17
wrong-value ""
unknown-option skp
wrong-value 3
unknown-module hed
wrong-value 0
unknown-module linea
""".strip().splitlines()


def test_each_of_many_faults_is_told_once_in_the_order_of_the_file() -> None:
    """Also where several stand in one call."""
    found = read(FAULTS)
    assert [f"{d.code} {d.span.text}" for d in found.diagnostics] == TOLD


ELSEWHERE = {
    "learning_rate = 1e-4": {"optimizer": None},
    "lr = 1e-4": {"optimizer": "Adam"},
    "weight_decay = 0.1": {},
    "betas = [0.9, 0.95]": {},
    "warmup_steps = 500": {},
    "min_lr = 10%": {"schedule": "cosine"},
    "window = 32": {"data": 'text("*.txt")'},
    "tokenizer = bytes": {"data": 'text("*.txt", window = context)'},
    "label_smoothing = 0.1": {},
    "patience = 3": {},
    "keep = 5": {"checkpoint": "every(100)"},
    'prompt = "A"': {"sample": "every(100)"},
}


@pytest.mark.parametrize("line", ELSEWHERE)
@pytest.mark.parametrize("first", [True, False], ids=["above", "below"])
def test_an_option_that_stands_as_a_key_is_moved_into_its_call(line: str, first: bool) -> None:
    """The edit that is offered leaves nothing to be said, wherever the line stands."""
    text = spec("text", dict(ELSEWHERE[line]), more="" if first else f"  {line}\n")
    if first:
        text = text.replace("train LM {\n", f"train LM {{\n  {line}\n")
    found = read(text)
    (unknown,) = [d for d in found.diagnostics if d.code == "unknown-key"]
    assert "it is an option" in unknown.help
    (fix,) = unknown.fixes
    cured = read(text[: fix.span.start] + fix.text + text[fix.span.end :])
    assert cured.diagnostics == []
    assert line.split(" = ")[1] in cured.source.text


def test_a_word_with_parentheses_is_not_the_word() -> None:
    assert read_case("pictures", precision="bf16(3)").codes == ["wrong-value"]
