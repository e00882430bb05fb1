"""A system at a batch: what is planned for it, the program that is trained, and a batch made for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from memory_specs import System
from programs import program_of
from torch import Tensor

from dlspec.cli.recipe_costs import training_of
from dlspec.compiler.backends.plan import Plan, plan
from dlspec.compiler.backends.sizes import Sizes, open_dims
from dlspec.compiler.ir.graph import Graph
from dlspec.compiler.layers.kept import Device
from dlspec.compiler.pipeline import analyse, emit
from dlspec.compiler.semantics.tensor import Tensor as Type
from dlspec.grammar import Source
from dlspec.runtime import Program


@dataclass(frozen=True)
class Case:
    """`examples` are on the CPU, as a data source gives them."""

    planned: Plan
    program: Program
    examples: dict[str, Tensor]


def make_case(system: System, batch: int, device: Device, *, quick: bool) -> Case:
    source = Source(f"{system.spec}.dlspec", system.text)
    overrides = (*system.overrides, *(system.quick if quick else ()), f"train.batch={batch}")
    as_written = analyse(source, overrides)
    (graph,) = as_written.graphs.values()
    (recipe,) = as_written.plans.values()
    planned = plan(graph, training_of(graph, recipe, None, device))
    artefact = emit(analyse(source, (*overrides, *system.data)))
    return Case(planned, program_of(artefact), made_batch(graph, batch, dict(planned.sizes)))


def made_batch(graph: Graph, batch: int, dims: dict[str, int]) -> dict[str, Tensor]:
    """A batch that the model can learn from, open dims as they are planned; classes count up to 59."""
    rows, sizes, _ = open_dims(graph, dims)
    known = Sizes(sizes | dict.fromkeys(rows, batch))
    draw = torch.Generator().manual_seed(0)

    def whole_numbers(type_: Type) -> Tensor:
        return torch.randint(1, 60, tuple(map(known.of, type_.dims)), generator=draw)

    made: dict[str, Tensor] = {}
    for value in graph.model.inputs:
        assert isinstance(value.type, Type) and value.name is not None
        is_float = value.type.dtype == "float"
        shape = tuple(map(known.of, value.type.dims))
        made[value.name] = torch.randn(shape, generator=draw) if is_float else whole_numbers(value.type)
    logits = graph.model.outputs[0].type
    assert isinstance(logits, Type)
    return made | dict.fromkeys(("targets", "label"), whole_numbers(Type("int", logits.dims[:-1])))
