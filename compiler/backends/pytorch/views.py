"""Methods of an emitted model that give some of its outputs and compute no more: what phases of a training ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...ir.graph import Graph

if TYPE_CHECKING:
    from ...training.plan import TrainPlan

Views = Mapping[str, Sequence[int]]
"""Methods by name, with the places of the outputs that they give."""


def views_of(graph: Graph, plan: TrainPlan | None) -> dict[str, tuple[int, ...]]:
    """What the phases ask for, where that is not all there is."""
    found: dict[str, tuple[int, ...]] = {}
    for phase, asked in ({} if plan is None else plan.asked).items():
        places = tuple(i for i, name in enumerate(graph.outputs) if name in asked)
        if len(places) < len(graph.outputs):
            found[f"forward_{phase}"] = places
    return found
