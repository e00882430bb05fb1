"""All faults of a file are told in one run: as many errors as there are faults, in the order of the file."""

from __future__ import annotations

import random
import re

import pytest
from mistake_pages import ROOT, Case, read_cases

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Diagnostic, Source

pytestmark = pytest.mark.no_torch

RECIPE = """train Digits as {name} {{
  data      = {data}
  loss      = cross_entropy({logits}, data.label)
  optimizer = AdamW(lr = 1e-3)
  {epochs}    = 2
  batch     = 64
}}
"""
FINE = {"data": "digits", "logits": "logits", "epochs": "epochs"}
DIGITS = """model Digits: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten
  Linear(10)
}
"""
# A fault of every kind: its code, the line in its item, and the item.
FAULTS = {
    "lexical": ("foreign-sign", 1, "block Arrow {\n  Linear(8) => relu\n}\n"),
    "syntax": ("unexpected", 1, "block Two {\n  Linear(8) 5\n  relu\n}\n"),
    "bracket": ("unclosed-bracket", 1, "block Open {\n  Linear(8 -> relu\n  tanh\n}\n"),
    "name": ("unknown-layer", 1, "block Name {\n  Liner(8)\n}\n"),
    "option": ("unknown-option", 1, "block Option {\n  Linear(8, bais = false)\n}\n"),
    "shape": ("shape-mismatch", 0, "model Shape: (x: [B, 8]) -> (y: [B, 4]) {\n  Linear(5)\n}\n"),
    "tie": (
        "tie-mismatch",
        2,
        "model Tie: (t: int[B, T]) -> (y: [B, T, 10]) {\n  e: Embedding(9, 4)\n  Linear(10, weight = e.weight)\n}\n",
    ),
    "key": ("unknown-key", 4, RECIPE.format(name="key", **{**FINE, "epochs": "epcohs"})),
    "data": ("unknown-name", 1, RECIPE.format(name="data_", **{**FINE, "data": "digit"})),
    "loss": ("unknown-name", 2, RECIPE.format(name="loss", **{**FINE, "logits": "logit"})),
    "export": ("unknown-name", 1, 'export Digits {\n  onx("digits.onnx")\n}\n'),
}


def errors_in(text: str) -> list[Diagnostic]:
    return [d for d in analyse(Source("n.dlspec", text)).diagnostics if d.severity == "error"]


def joined(items: list[str]) -> tuple[str, list[int]]:
    """The items after one another, and the number of the line on which each begins."""
    text, begins = "dlspec 1\n", list[int]()
    for item in items:
        begins.append(text.count("\n") + 1)
        text += f"{item}\n"
    return text, begins


@pytest.mark.parametrize("seed", range(12))
def test_a_fault_of_each_kind_is_one_error_on_its_line(seed: int) -> None:
    draw = random.Random(seed)
    kinds = draw.sample(list(FAULTS), len(FAULTS))
    at = draw.randint(0, len(kinds))
    items = [FAULTS[kind][2] for kind in kinds]
    text, begins = joined([*items[:at], DIGITS, *items[at:]])
    del begins[at]
    told = [(d.code, d.span.line) for d in errors_in(text)]
    assert told == [(FAULTS[kind][0], begin + FAULTS[kind][1]) for kind, begin in zip(kinds, begins, strict=True)]


IN_ONE_MODEL = """dlspec 1
width = 8 8
default Linear(bais = false)

block Mlp(hidden) {
  fc: Linear(hiden) => relu
  Dropout(1.5)
}

model Net: (x: [B, 8]) -> (logits: [B, 10]) {
  Linear(width, bias = True)
  residual(pre = LayerNrom) { Linear(8) }
  Dropout(2)
  Mlp(16
  repeat(2.5) { relu }
  Linear(10)
}

train Net {
  data = digit
  loss = cross_entrpy(logits, data.label)
  optimizer = AdamW(lr = 0)
  epochs = 2
  batch: 64
  shedule = constant
}

export Net {
  onx("n.onnx")
}
"""


def test_many_faults_in_one_model_and_its_recipe() -> None:
    assert [d.span.line for d in errors_in(IN_ONE_MODEL)] == [2, 3, 6, 6, 7, 11, 12, 13, 14, 15, 20, 21, 22, 24, 25, 29]


def _alone(case: Case) -> str | None:
    """The one item of a case that has one fault and names nothing outside of itself."""
    head, _, rest = case.wrong.partition("\n")
    only = re.findall(r"^(?:model|block|train|export|import|default|\w+ *=)", rest, re.M) == ["model"]
    return (
        rest
        if head == "dlspec 1"
        and only
        and rest.startswith("model N:")
        and len(errors_in(case.wrong)) == 1
        and "}" in rest
        else None
    )


CASES = [case for page in sorted((ROOT / "corpus").glob("*.md")) for case in read_cases(page)]


@pytest.mark.parametrize("seed", range(40))
def test_ten_specs_of_the_corpus_in_one_file(seed: int) -> None:
    draw = random.Random(seed)
    items: list[tuple[str, str, int]] = []
    for case in draw.sample(CASES, len(CASES)):
        item = _alone(case)
        if item is not None:
            (error,) = errors_in(case.wrong)
            items.append((re.sub(r"\bN\b", f"N{len(items)}", item), error.code, error.span.line - 2))
        if len(items) == 10:
            break
    text, begins = joined([item for item, _, _ in items])
    told = [(d.code, d.span.line) for d in errors_in(text)]
    assert told == [(code, begin + line) for (_, code, line), begin in zip(items, begins, strict=True)], text
