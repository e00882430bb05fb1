"""Small specs, and what their `train` sections are read as."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from dlspec.compiler.backends.pytorch.recipe import emit_recipe
from dlspec.compiler.build.model import build_model
from dlspec.compiler.semantics.report import Report
from dlspec.compiler.semantics.resolve import resolve
from dlspec.compiler.training.exports import ExportPlan, read_export
from dlspec.compiler.training.plan import TrainPlan
from dlspec.compiler.training.read import read_train
from dlspec.grammar import Diagnostic, Source, parse

PICTURES = """\
dlspec 1
classes = 10
peak = 3e-3
model MLP: (image: [B, 1, 8, 8]) -> (logits: [B, classes]) {
  flatten -> Linear(classes)
}
"""
TEXT = """\
dlspec 1
vocab = 256
context = 64
pad = 0
model LM: (tokens: int[B, T <= context]) -> (logits: [B, T, vocab]) {
  Embedding(vocab, 16) -> Linear(vocab)
}
"""
TABLE = """\
dlspec 1
model Line: (x: [B, 4]) -> (output: [B, 1]) {
  Linear(1)
}
"""
PARTS = PICTURES.replace(
    "flatten -> Linear(classes)",
    "flatten -> stem: Linear(16) -> blocks: repeat(2) {\n    mlp: Linear(16)\n    relu\n  } -> head: Linear(classes)",
)
TWO = PICTURES.replace("(logits: [B, classes])", "(logits: [B, classes], features: [B, 16])").replace(
    "flatten -> Linear(classes)", "flatten -> Linear(16) as features\n  Linear(classes) as logits"
)

PICTURE_LINES = {
    "data": "digits",
    "loss": "cross_entropy(logits, data.label)",
    "optimizer": "AdamW(lr = 3e-3)",
    "epochs": "30",
    "batch": "64",
}
TEXT_LINES = {
    "data": 'text("*.txt", tokenizer = bytes, window = context)',
    "loss": "cross_entropy(logits, data.targets)",
    "optimizer": "AdamW(lr = 6e-4)",
    "steps": "1_000",
    "batch": "8",
}
TABLE_LINES = {
    "data": 'arrays("x.npz")',
    "loss": "mse(output, data.y)",
    "optimizer": "SGD(lr = 0.1)",
    "steps": "100",
    "batch": "8",
}

CASES = {"pictures": (PICTURES, PICTURE_LINES), "text": (TEXT, TEXT_LINES), "table": (TABLE, TABLE_LINES)}


@dataclass(frozen=True)
class Read:
    source: Source
    plan: TrainPlan | None
    diagnostics: list[Diagnostic]

    @property
    def codes(self) -> list[str]:
        return [d.code for d in self.diagnostics]

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self.diagnostics if d.severity == "error"]


def spec(case: str, changes: dict[str, str | None] | None = None, model: str | None = None, more: str = "") -> str:
    """A spec: one of the models above (or another) with a `train` section whose lines are changed or, with None, left
    out. `more` is put behind the lines as it is."""
    text, lines = CASES[case]
    lines = {key: value for key, value in {**lines, **(changes or {})}.items() if value is not None}
    body = "\n".join(f"  {key} = {value}" for key, value in lines.items())
    text = model or text
    name = text.split("model ")[1].split(":")[0]
    return f"{text}train {name} {{\n{body}\n{more}}}\n"


def read(text: str) -> Read:
    """The last `train` section of a spec, and the findings about it alone."""
    source = Source("a.dlspec", text)
    file, found = parse(source)
    assert not found, found
    outside = Report()
    names = resolve(source, file, outside)
    train = list(names.scope.recipes.values())[-1]
    built = build_model(names, names.scope.models[train.model.text], outside)
    report = Report()
    return Read(source, read_train(train, names.scope, built.ports, report), report.diagnostics)


def read_case(case: str, **changes: str | None) -> Read:
    return read(spec(case, changes))


def plan_of(case: str, changes: dict[str, str | None] | None = None, model: str | None = None) -> TrainPlan:
    """The plan of a spec that has no error."""
    found = read(spec(case, changes, model))
    assert found.plan is not None and not found.diagnostics, [d.message for d in found.diagnostics]
    return found.plan


def read_exports(lines: str) -> tuple[ExportPlan | None, list[Diagnostic]]:
    source = Source("a.dlspec", f"{TABLE}export Line {{\n{lines}\n}}\n")
    file, found = parse(source)
    assert not found, found
    report = Report()
    names = resolve(source, file, report)
    return read_export(names.scope.exports["Line"], names.scope, report), report.diagnostics


def recipe_text(plan: TrainPlan) -> str:
    return emit_recipe(plan, "a.dlspec", plan.model)


def recipe_of(case: str, changes: dict[str, str | None] | None = None, model: str | None = None) -> Any:
    """The emitted recipe as a module that was run."""
    module = ModuleType("recipe")
    exec(compile(recipe_text(plan_of(case, changes, model)), "recipe.py", "exec"), module.__dict__)
    return module
