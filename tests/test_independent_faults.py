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


# Faults of blocks that nothing needs a shape for.
IN_BLOCKS = {kind: FAULTS[kind] for kind in ("bracket", "name", "option")} | {
    "label": ("label-without-module", 1, "block Label {\n  a: relu\n  Linear(8)\n}\n"),
    "unused": ("unused-name", 1, "block Unused {\n  Linear(8) as h\n  relu\n}\n"),
    "value": ("wrong-value", 1, "block Value {\n  Dropout(2)\n}\n"),
}
USES = "model Uses: (x: [B, 8]) -> (y: [B, 8]) {\n  Label\n  Unused\n  Value\n  Name\n  Option\n  Open\n}\n"


@pytest.mark.parametrize("seed", range(12))
def test_what_flows_into_a_block_with_a_fault_hides_none_of_its_own(seed: int) -> None:
    draw = random.Random(seed)
    kinds = draw.sample(list(IN_BLOCKS), len(IN_BLOCKS))
    calls = USES.splitlines()
    calls[1:-1] = draw.sample(calls[1:-1], len(calls) - 2)
    text, begins = joined([*(IN_BLOCKS[kind][2] for kind in kinds), "\n".join(calls)])
    told = [(d.code, d.span.line) for d in errors_in(text)]
    assert told == [
        (IN_BLOCKS[kind][0], begin + IN_BLOCKS[kind][1]) for kind, begin in zip(kinds, begins, strict=False)
    ]


# Lines of one body, each with a fault that is told whatever the lines above it left open.
LINES = {
    "Liner(8)": "unknown-layer",
    "l1: relu": "label-without-module",
    "l2: identity": "label-without-module",
    "l4: { relu }": "label-without-module",
    "Linear(8, bais = true)": "unknown-option",
    "Dropout(2)": "wrong-value",
    "Linear(zz)": "unknown-name",
    "gelu(approximate = tahn)": "unknown-name",
    "residual(pree = LayerNorm) { Linear(8) }": "unknown-option",
    "residual(pre = LayerNorm, post = Dropout(4)) { Linear(8) }": "wrong-value",
    "repeat(-1) { Linear(8) }": "wrong-value",
    "repeat(2) { Dropout(3) }": "wrong-value",
    "repeat(2) { made_once }": "shared-by-accident",
    "experts(2) { l3: tanh }": "label-without-module",
    "Linear(8) as unused": "unused-name",
    "Linear(8, weight = nope.weight)": "unknown-weight",
    "{ again: Linear(8) -> again: Linear(8) }": "repeated-label",
    "Needs()": "missing-option",
}


@pytest.mark.parametrize("seed", range(40))
def test_ten_faults_in_one_body_are_ten_errors(seed: int) -> None:
    draw = random.Random(seed)
    lines = draw.sample(list(LINES), 10)
    fine = "block Needs(n) { Linear(n) }\n\nmodel Body: (x: [B, 8]) -> (y: [B, 8]) {\n  made_once = Linear(8)\n"
    text = f"dlspec 1\n{fine}  " + "\n  ".join(lines) + "\n  made_once\n}\n"
    told = [(d.code, d.span.line) for d in errors_in(text)]
    assert told == [(LINES[line], number) for number, line in enumerate(lines, 6)], text


@pytest.mark.parametrize(
    "lines",
    [
        ["Liner(8)", "a: Linear(8)", "Linear(8, weight = a.weight)"],
        ["Liner(8)", "Linear(8)", "Linear(8, weight = linear_2.weight)"],
        ["Liner(8)", "a: repeat(2) { Linear(8) }", "Linear(8, weight = a.0.linear.weight)"],
        ["a: { Liner(8) as h; x -> Linear(8) -> identity + h }", "Linear(8, weight = a.linear_2.weight)"],
        ["Liner(8)", "a: { relu -> Linear(8) }"],
        ["a: Liner(8)", "momentum_copy(a, 0.9)"],
        ["Liner(8) as h", "Linear(8, biss = false) -> identity + h"],
        ["Linear(8) as h", "Linear(8) if h.zz > 1 else h"],
        ["Linear(8) as h", "repet(2, index = i) { Linear(8 + i) } -> identity + h"],
    ],
)
def test_what_an_error_left_open_is_no_second_error(lines: list[str]) -> None:
    body = "\n".join(lines).replace("; ", "\n")
    faults = sum(body.count(word) for word in ("Liner", "biss", "h.zz", "repet("))
    text = f"dlspec 1\nmodel Body: (x: [B, 8]) -> (y: [B, 8]) {{\n{body}\n}}\n"
    assert len(errors_in(text)) == faults


IN_ONE_MODEL = """dlspec 1
width = 8 8
default Linear(bais = false)

block Mlp(hidden) {
  fc: Linear(hiden) => relu
  Dropout(1.5)
}

model Net: (features: [B, 4]) -> (logits: [B, 3]) {
  Linear(width, bias = True)
  residual(pre = LayerNrom) { Linear(8) }
  Dropout(2)
  Mlp(16
  repeat(2.5) { relu }
  Linear(3)
}

train Net {
  data = iriss
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


# Faults that stand beside each other in a recipe, and none of which is a reason to keep quiet about another.
IN_ONE_RECIPE: dict[str, tuple[dict[str, str], list[int]]] = {
    "nothing": ({}, []),
    "an option and a field": ({"data": "digits(splt = 3)", "field": "labl"}, [5, 6]),
    "an option and an input": ({"data": "digits(splt = 3)", "input": "imgae"}, [5, 5]),
    "a value and the head": ({"data": "digits(split = 3)", "width": "9", "layers": "Linear(9)"}, [5, 6]),
    "an augmentation and a field": ({"data": "digits -> randm_crop(3)", "field": "labl"}, [5, 6]),
    "a key, its value and a field": ({"key": "dta", "data": "digits -> foo(3)", "field": "labl"}, [5, 5, 6]),
    "two augmentations and an input": ({"data": "digits -> two_vews(randm_crop(3))"}, [5, 5, 5]),
    "a source, its option and a field": ({"data": "digts(splt = 3)", "field": "labl"}, [5, 5, 6]),
    "a field and the head": ({"field": "labl", "width": "9", "layers": "Linear(9)"}, [6, 6]),
    "an optimizer and its option": ({"optimizer": "AdmW(lr = 1e-3, decy = 0.1)"}, [7, 7]),
    "a layer and what is frozen": ({"layers": "head: Linear(10) -> Liner(10)", "more": "freeze = [haed]"}, [3, 10]),
    "a layer and its label": ({"layers": "head: Liner(10)", "more": "rates = [haed = 10]"}, [3, 10]),
    "a layer, and its label is right": ({"layers": "head: Liner(10)", "more": "rates = [head = 10]"}, [3]),
}


@pytest.mark.parametrize("name", IN_ONE_RECIPE)
def test_faults_of_a_recipe_hide_no_others(name: str) -> None:
    changes, lines = IN_ONE_RECIPE[name]
    fine = {"input": "image", "width": "10", "layers": "Linear(10)", "key": "data", "data": "digits", "field": "label"}
    fine |= {"optimizer": "AdamW(lr = 1e-3)", "more": "seed = 1"}
    text = """dlspec 1
model Net: ({input}: [B, 1, 8, 8]) -> (logits: [B, {width}]) {{
  flatten -> {layers} }}
train Net {{
  {key} = {data}
  loss = cross_entropy(logits, data.{field})
  optimizer = {optimizer}
  epochs = 2
  batch = 64
  {more}
}}
"""
    assert [d.span.line for d in errors_in(text.format(**fine | changes))] == lines


BEHIND_AN_IMPORT = """dlspec 1
import {what}
model Net: (x: [B, T, 8]) -> (y: [B, T, 8]) {{
  Liner(8)
  reluu
  residual {{ geglu(3) -> Encoder(8) -> RelNorm }}
  a: relu
  Linear(8)
}}
train Net {{
  data = digts
  loss = mse(y, 0)
  optimizer = AdmW(lr = 1e-3)
  epochs = 2
  batch = 64
}}
"""


@pytest.mark.parametrize("what", ['"nowhere.dlspec"', '"nowhere.py"', "std.nothing_like_it"])
def test_an_import_that_is_not_found_hides_no_slip_of_the_hand(what: str) -> None:
    assert [d.span.line for d in errors_in(BEHIND_AN_IMPORT.format(what=what))] == [2, 4, 5, 7, 11, 11, 13]


def test_a_misspelt_library_brings_the_names_of_the_one_that_was_meant() -> None:
    told = errors_in(BEHIND_AN_IMPORT.format(what="std.resnett").replace("geglu(3) -> Encoder(8)", "BasicBlok(8)"))
    assert [(d.code, d.span.line) for d in told][:3] == [
        ("unknown-import", 2),
        ("unknown-layer", 4),
        ("unknown-name", 5),
    ]
    assert "`BasicBlok`" in told[3].message


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
