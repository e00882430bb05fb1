"""The whole IR on one screen.

A model is a `Unit`: modules it owns and nodes that run them. Blocks, labelled groups and the copies of a `repeat` are
units inside it; a residual's branch is a `Region` inside the unit it stands in (it adds no level to the checkpoint).
Values have one producer; a unit reads only its own inputs: what it takes from around it is passed in as further inputs.
All of it is frozen; a pass returns new units. Values, nodes and modules are compared by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..layers.base import NOTHING, Layer
from ..semantics.number import Number, Reference
from ..semantics.tensor import Tensor, Type

if TYPE_CHECKING:
    from ...grammar import tree
    from ..scalars.expression import ScalarFunction


class Value(Frozen, eq=False):
    """What flows. `name` is the port's, or what `as` or `=` called it."""

    type: Type
    name: str | None = None


class Region(Frozen, eq=False):
    """A flow inside a unit: from `input` through `nodes` to `output`."""

    input: Value
    nodes: tuple[Node, ...]
    output: Value


class Apply(Frozen):
    """Run a layer: the module `Node.module` of the unit, or a function where that is None."""

    layer: Layer


class Pointwise(Frozen):
    """`left operator right`, or `neg` or a mathematical function (`exp`) of one input, or of two (`max`).

    A side that is a number stands here, a side that flows is None and comes from the inputs.
    """

    operator: str
    left: Number | None = None
    right: Number | None = None


class Call(Frozen, eq=False):
    """A function of the file, entry by entry: of its parameters those that are numbers stand here, the others are None
    and come from the inputs."""

    function: ScalarFunction
    arguments: tuple[Number | None, ...]


class Run(Frozen):
    """Run the unit that `Node.module` names: a block or a labelled group.

    `units` is that unit with the types that it has here, where another shape comes in than it was made for.
    """

    units: tuple[Unit, ...] = ()


class RunCopies(Frozen):
    """Run the copies that `Node.module` names, one after the other; inputs after the first go to each of them.
    `units` as in `Run`."""

    units: tuple[Unit, ...] = ()


class RunCarrying(Frozen):
    """As RunCopies, where a copy leaves two values: a stream, and a branch that is still to be added to it, which the
    next copy takes up. The first copy gets no branch."""


class Residual(Frozen, eq=False):
    """`after(scale * skip(x) + branch(x))`, or with a gate `after(g * branch(x) + (1 - g) * skip(x))`, g = gate(x).

    The branch holds pre, the body, out, drop, the gains and drop_path; `after` holds post. What is None is the
    identity, or 1. `shrink` is what the branch's initial weights are multiplied by (DeepNorm).
    """

    branch: Region
    after: Region | None = None
    skip: Region | None = None
    scale: Number | None = None
    gate: Region | None = None
    shrink: Number | None = None

    @property
    def regions(self) -> tuple[Region, ...]:
        """Those there are, in the order in which they run."""
        return tuple(r for r in (self.branch, self.skip, self.gate, self.after) if r is not None)


class Loop(Frozen, eq=False):
    """`share(n) { f }`: the body n times, with one set of weights; what leaves it enters it again."""

    count: Number
    body: Region


class Checkpoint(Frozen, eq=False):
    """`checkpoint { f }`: the body, whose activations are computed again in the backward pass."""

    body: Region


class RunExperts(Frozen):
    """Send each entry of all axes but the last through its best experts of those that `Node.module` names."""


class RunMomentum(Frozen):
    """Run the momentum copy that `Node.module` names."""


Op: TypeAlias = (
    Apply | Pointwise | Call | Run | RunCopies | RunCarrying | Residual | Loop | Checkpoint | RunExperts | RunMomentum
)


def with_regions(op: Op, change: Callable[[Region], Region]) -> Op:
    """The operation with each of its regions changed, in the order in which they run."""
    match op:
        case Residual():
            changed = [None if r is None else change(r) for r in (op.branch, op.skip, op.gate, op.after)]
            branch, skip, gate, after = changed
            assert branch is not None
            return replace(op, branch=branch, skip=skip, gate=gate, after=after)
        case Loop() | Checkpoint():
            return replace(op, body=change(op.body))
    return op


def regions(op: Op) -> tuple[Region, ...]:
    """The flows inside an operation, which stand in the unit that it stands in."""
    match op:
        case Residual():
            return op.regions
        case Loop(body=body) | Checkpoint(body=body):
            return (body,)
    return ()


class Node(Frozen, eq=False):
    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span
    module: str | None = None

    @property
    def output(self) -> Value:
        return self.outputs[0]


def all_nodes(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes, and those of the flows inside them."""
    for node in nodes:
        yield node
        for region in regions(node.op):
            yield from all_nodes(region.nodes)


def input_type(node: Node) -> Tensor:
    """The type of what comes to a layer by the arrow; a source is placed on nothing."""
    if isinstance(node.op, Apply) and not node.op.layer.takes_running:
        return NOTHING
    type_ = node.inputs[0].type
    assert isinstance(type_, Tensor), type_
    return type_


class Tie(Frozen):
    """The weight of this module is the parameter at `path` (`("wte", "weight")`), seen from the unit that is `up` units
    further out than the module's own."""

    path: tuple[str, ...]
    up: int = 0


class LayerModule(Frozen, eq=False):
    """A layer with weights or state. `inputs` are the types it was placed on."""

    name: str
    layer: Layer
    inputs: tuple[Tensor, ...]
    span: Span
    tie: Tie | None = None


class UnitModule(Frozen, eq=False):
    name: str
    unit: Unit
    span: Span


class Copies(Frozen, eq=False):
    """The modules of a `repeat`: one unit a copy (the same object where copies do not differ)."""

    name: str
    count: Number
    units: tuple[Unit, ...]
    span: Span


class Experts(Frozen, eq=False):
    """The modules of `experts(n, top) { f }`: a router without bias, [.., D] -> [.., n], and a unit an expert, each on
    [tokens, D]. `balance` weighs the loss that keeps the router even."""

    name: str
    count: Number
    top: Number
    balance: Number
    router: LayerModule
    units: tuple[Unit, ...]
    span: Span


class Momentum(Frozen, eq=False):
    """An untrained copy of the module `of` of the same unit, which follows it.

    After each update `copy = rate * copy + (1 - rate) * of`.
    """

    name: str
    of: LayerModule | UnitModule
    rate: Number
    span: Span


class Borrowed(Frozen, eq=False):
    """A module of another unit, used once more: no weights of its own.

    `path` leads to it from the unit that is `up` units further out: `("blocks", "0", "attn")`.
    """

    name: str
    module: LayerModule | UnitModule | Copies | Experts | Momentum
    path: tuple[str, ...]
    up: int
    span: Span


Module: TypeAlias = LayerModule | UnitModule | Copies | Experts | Momentum | Borrowed


def layer_around(module: Module) -> str:
    """The layer in whose arguments a module was made: `attn` of `attn.bias`; empty for those of the body itself."""
    return "" if isinstance(module, Borrowed) else module.name.rpartition(".")[0]


class Unit(Frozen, eq=False):
    """A model, a block as it was used at one place, a labelled group, or one copy of a repeat.

    `name` is the block's or model's, or the label; `scope` is what references to its parameters and dims are owned
    by; `index` is the reference that counts the copies. `optional` are inputs that may be missing.
    """

    kind: Literal["model", "block", "group", "copy"]
    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    modules: tuple[Module, ...]
    span: Span
    scope: object = None
    optional: tuple[Value, ...] = ()

    def module(self, name: str) -> Module:
        """The module that a node of this unit names; what is borrowed is the other unit's own."""
        found = self._by_name[name]
        return found.module if isinstance(found, Borrowed) else found

    def borrowed(self, name: str | None) -> Borrowed | None:
        """The module of that name where it is another unit's."""
        found = self._by_name.get(name or "")
        return found if isinstance(found, Borrowed) else None

    @cached_property
    def unfolded(self) -> int:
        """How many blocks, groups and copies it comes to, itself among them."""
        return 1 + sum(map(unfolded, self.modules))

    @cached_property
    def _by_name(self) -> dict[str, Module]:
        return {module.name: module for module in self.modules}


def unfolded(module: Module) -> int:
    """How many blocks, groups and copies a module comes to; a layer is none of them."""
    match module:
        case UnitModule(unit=unit):
            return unit.unfolded
        case Copies(units=units) | Experts(units=units):
            return sum(unit.unfolded for unit in units)
        case Momentum(of=of):
            return unfolded(of)
    return 0


class Graph(Frozen, eq=False):
    """A model as it will be emitted.

    `constants` are the file's numbers in the order of the file; `limits` the largest values of open dims
    (`T <= context`) and `least` the smallest (`T >= 2`), by name; `outputs` the names of the model's output ports, in
    the order of its outputs; `signature` is the head that it was made of, None for a graph that was not made of text.
    """

    model: Unit
    constants: tuple[Reference, ...]
    limits: dict[str, Number] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    signature: tree.Signature | None = None
    least: dict[str, Number] = field(default_factory=dict)

    @property
    def doc(self) -> str:
        """`tokens int[B, T <= context] -> logits [B, T, vocab]`, laid out as the formatter does it."""
        if self.signature is None:
            return ""
        from ...grammar import spell  # only what is emitted or shown is printed: a check is quicker without the printer

        def ports(listed: tuple[tree.Port, ...]) -> str:
            return ", ".join(f"{p.name} {spell(p.shape)}" for p in listed)

        return f"{ports(self.signature.inputs)} -> {ports(self.signature.outputs or ())}"
