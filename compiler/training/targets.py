"""What the targets of a recipe have to be, where only the data can say whether they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..semantics.number import whole
from ..semantics.tensor import Tensor
from .measure import Measure, Value, width
from .plan import TrainPlan


def asked_of_targets(plan: TrainPlan, said_of_losses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each loss and metric what it takes: "classes", "entries" that the output has too, and of entries which
    numbers (`Measure.target_numbers`). What `said_of_losses`, their settings, says already is left out."""
    known = [("classes", pair["output"], pair["field"]) for loss in said_of_losses if (pair := loss["classes"])]
    known += [("entries", pair["output"], pair["field"]) for loss in said_of_losses for pair in loss.get("alike", ())]
    found: list[dict[str, Any]] = []
    for measure, said, true in _compared(plan):
        field = {"data": true.name, "input": plan.bind.get(true.name)}.get(true.origin)
        if field is None:
            continue
        for takes in _takes(measure, said, true):
            entry = {"word": measure.word, "output": said.name, "field": field, "takes": takes}
            classes = width(said) if takes == "classes" else None
            entry |= {} if classes is None else {"width": whole(classes)}
            if entry not in found and (takes, said.name, field) not in known:
                found.append(entry)
    return found


def _compared(plan: TrainPlan) -> Iterator[tuple[Measure, Value, Value]]:
    for term in plan.terms:
        if len(term.values) > 1:
            yield term.loss, term.said, term.true
    for measured in plan.metrics:
        yield measured.metric, measured.said, measured.true


def _takes(measure: Measure, said: Value, true: Value) -> Iterator[str]:
    """Shapes are of interest where the compiler does not know them, numbers always."""
    if measure.asks_class((said, true)):
        if said.origin == "output" and true.origin == "data":
            yield "classes"
    elif measure.compares_entries((said, true)):
        if said.origin == "output" and true.origin == "data" and not isinstance(true.type, Tensor):
            yield "entries"
        if measure.target_numbers is not None:
            yield measure.target_numbers
