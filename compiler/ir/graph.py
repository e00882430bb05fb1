"""The whole IR on one screen.

A model is a `Unit`: modules it owns and nodes that run them. Blocks, labelled groups and the copies of a `repeat` are
units inside it; a residual's branch is a `Region` inside the unit it stands in (it adds no level to the checkpoint).
Values have one producer; a unit reads only its own inputs: what it takes from around it is passed in as further inputs.
All of it is frozen; a pass returns new units. Values, nodes and modules are compared by identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ...grammar.source import Span
from ..layers.base import NOTHING, Layer
from ..semantics.number import Number, Reference
from ..semantics.tensor import Tensor, Type


@dataclass(frozen=True, eq=False)
class Value:
    """What flows. `name` is the port's, or what `as` or `=` called it."""

    type: Type
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """A flow inside a unit: from `input` through `nodes` to `output`."""

    input: Value
    nodes: tuple[Node, ...]
    output: Value


@dataclass(frozen=True)
class Apply:
    """Run a layer: the module `Node.module` of the unit, or a function where that is None."""

    layer: Layer


@dataclass(frozen=True)
class Pointwise:
    """`left operator right`, or `neg` of one input.

    A side that is a number stands here, a side that flows is None and comes from the inputs.
    """

    operator: str
    left: Number | None = None
    right: Number | None = None


@dataclass(frozen=True)
class Run:
    """Run the unit that `Node.module` names: a block or a labelled group."""


@dataclass(frozen=True)
class RunCopies:
    """Run the copies that `Node.module` names, one after the other; inputs after the first go to each of them."""


@dataclass(frozen=True, eq=False)
class Residual:
    """`post(x + branch(x))`: the branch holds pre, the body, out and drop; `after` holds post."""

    branch: Region
    after: Region | None


Op: TypeAlias = Apply | Pointwise | Run | RunCopies | Residual


@dataclass(frozen=True, eq=False)
class Node:
    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span
    module: str | None = None

    @property
    def output(self) -> Value:
        return self.outputs[0]


def input_type(node: Node) -> Tensor:
    """The type of what comes to a layer by the arrow; a source is placed on nothing."""
    if isinstance(node.op, Apply) and not node.op.layer.takes_running:
        return NOTHING
    type_ = node.inputs[0].type
    assert isinstance(type_, Tensor), type_
    return type_


@dataclass(frozen=True)
class Tie:
    """The weight of this module is the parameter at `path`, seen from the unit (`("wte", "weight")`)."""

    path: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LayerModule:
    """A layer with weights or state. `inputs` are the types it was placed on."""

    name: str
    layer: Layer
    inputs: tuple[Tensor, ...]
    span: Span
    tie: Tie | None = None


@dataclass(frozen=True, eq=False)
class UnitModule:
    name: str
    unit: Unit
    span: Span


@dataclass(frozen=True, eq=False)
class Copies:
    """The modules of a `repeat`: one unit a copy (the same object where copies do not differ)."""

    name: str
    count: Number
    units: tuple[Unit, ...]
    span: Span


Module: TypeAlias = LayerModule | UnitModule | Copies


@dataclass(frozen=True, eq=False)
class Unit:
    """A model, a block as it was used at one place, a labelled group, or one copy of a repeat.

    `name` is the block's or model's, or the label; `scope` is what references to its parameters and dims are owned
    by; `index` is the reference that counts the copies.
    """

    kind: Literal["model", "block", "group", "copy"]
    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    modules: tuple[Module, ...]
    span: Span
    scope: object = None
    doc: str = ""

    def module(self, name: str) -> Module:
        return next(m for m in self.modules if m.name == name)


@dataclass(frozen=True, eq=False)
class Graph:
    """A model as it will be emitted.

    `constants` are the file's numbers in the order of the file; `limits` the largest values of open dims
    (`T <= context`), by name; `outputs` the names of the model's output ports, in the order of its outputs.
    """

    model: Unit
    constants: tuple[Reference, ...]
    limits: dict[str, Number] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
