"""A module that is there already, run once more: by its label, by a path, or where an open flow is used again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...grammar import tree
from ..ir.graph import (
    Copies,
    Experts,
    LayerModule,
    Module,
    Momentum,
    Run,
    RunCopies,
    RunExperts,
    RunMomentum,
    Unit,
    UnitModule,
    Value,
)
from ..ir.units import inside
from ..ir.weights import unit_weights
from ..semantics.number import equal
from ..semantics.report import Unheard
from ..semantics.tensor import Tensor, same, seen_outside
from . import flows, placing
from .context import Context, Flowing, Placed
from .draft import UnitDraft
from .further_inputs import further_inputs

if TYPE_CHECKING:
    from .env import Labelled


def run_label(label: Labelled, stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    """A label used as a stage, alone or with a path behind it (`blocks.0.attn`): that module once more."""
    path = (label.module, *stage.path.parts[1:])
    x = flows.needed(x, stage, ctx)
    if ctx.leads_back(str(stage.path), label, stage.span):
        return ctx.unknown()
    module = label.unit.descend(path)
    if path == (label.module,) and label.module in label.unit.empty:
        return x  # no copies: the identity
    if module is None:
        _not_made(label, path, stage, ctx)
        return ctx.unknown()
    if not isinstance(x.type, Tensor):
        return ctx.unknown()
    beside = further_inputs(label.unit, path)
    if beside is None:
        return _out_of_sight(path, stage, ctx)
    name = path[0]
    if len(path) > 1 or label.unit is not ctx.unit:
        name = ctx.borrow(label.unit, path, stage.span, beside)
    return _run(module, name, _scopes(label.unit, path), label.unit, path, stage, (x, *beside), ctx)


def run_unit_again(name: str, node: tree.Stage | tree.Label, x: Value, ctx: Context) -> Flowing:
    """A block, group or repeat of an open flow once more, with the weights that it has."""
    module = ctx.unit.find(name)
    assert module is not None
    borrowed = ctx.owner is not ctx.unit
    path = (name.lstrip("^"),) if borrowed else (name,)
    return _run(module, name, [], ctx.owner, path, node, (x, *ctx.owner.beside(path[0])), ctx)


def _run(
    module: Module,
    name: str,
    scopes: list[object],
    unit: UnitDraft,
    path: Sequence[str],
    node: tree.Stage | tree.Label,
    inputs: tuple[Value, ...],
    ctx: Context,
) -> Flowing:
    """`inputs` are what comes in here, and what the module took beside it where it was made."""
    x = inputs[0]
    if not isinstance(x.type, Tensor):
        return ctx.unknown()
    if isinstance(module, LayerModule):
        return placing.run_again(module, module.layer, name, node, inputs, ctx)
    if isinstance(module, Momentum):
        return _copy_again(module, name, inputs, node, ctx)
    if isinstance(module, Experts):
        return _experts_again(module, name, x, node, ctx)
    assert isinstance(module, UnitModule | Copies)
    first, last = inside(module)[0], inside(module)[-1]
    expected = first.inputs[0].type
    if not isinstance(expected, Tensor):
        return ctx.unknown()
    types, units = tuple(o.type for o in last.outputs), ()
    if not same(expected, x.type):
        placed = _placed_on(module, unit, path, x, node, ctx)
        if placed is None:
            return ctx.unknown()
        types, units = placed.types, tuple(placed.units)
    else:
        for scope in [last.scope, *scopes]:
            types = tuple(seen_outside(t, scope) for t in types)
    op = Run(units) if isinstance(module, UnitModule) else RunCopies(units)
    outputs = ctx.emit(op, inputs, types, node.span, name)
    if len(outputs) == 1:
        return outputs[0]
    return unit.results(path)(outputs)


def _placed_on(
    module: UnitModule | Copies,
    unit: UnitDraft,
    path: Sequence[str],
    x: Value,
    node: tree.Stage | tree.Label,
    ctx: Context,
) -> Placed | None:
    """The module for another shape: it is built once more for it, and must come to the same weights."""
    build = unit.builder(path[0]) if len(path) == 1 else None
    placed = None if build is None else build(x, ctx.within(nodes=[], opened=None, report=Unheard()))
    known = placed is not None and all(isinstance(type_, Tensor) for type_ in placed.types)
    if placed is not None and known and _alike(inside(module), placed.units):
        return placed
    first = inside(module)[0].inputs[0].type
    ctx.report.error(
        "shape-mismatch",
        f"`{'.'.join(path)}` was made for {first}, and {x.type} comes in here",
        node.span,
        f"{x.type} comes in",
        labels=((module.span, f"{first} came in where it was made"),),
        help="a module used twice has one set of weights; make a second one for another shape",
    )
    return None


def _alike(a: Sequence[Unit], b: Sequence[Unit]) -> bool:
    """Whether units have the same weights, and the same modules in PyTorch."""
    return [_made(u) for u in a] == [_made(u) for u in b]


def _made(unit: Unit) -> list[object]:
    return [*unit_weights(unit, ""), *_axes_of_modules(unit)]


def _axes_of_modules(unit: Unit) -> Iterator[int | None]:
    for module in unit.modules:
        match module:
            case LayerModule(layer=layer, inputs=(first, *_)):
                yield layer.axes_of_module(first)
            case UnitModule() | Copies():
                for inner in inside(module):
                    yield from _axes_of_modules(inner)


def _scopes(unit: UnitDraft, path: tuple[str, ...]) -> list[object]:
    """The scopes of the units that a path leads through, innermost first: their names mean nothing outside."""
    scopes: list[object] = []
    for end in range(1, len(path)):
        module = unit.descend(path[:end])
        if isinstance(module, UnitModule):
            scopes.append(module.unit.scope)
    return scopes[::-1]


def _not_made(label: Labelled, path: tuple[str, ...], stage: tree.Stage, ctx: Context) -> None:
    """The label is there, and the module is not: it lies further down, or could not be made, or has no such part."""
    if label.module in label.unit.empty:
        message, help = (
            f"`{label.module}` makes no copies here, so nothing is inside it",
            f"`{label.module}` alone is the identity then",
        )
        ctx.report.error("unknown-name", message, stage.path.span, "not there", help=help)
        return
    if label.unit.find(label.module) is None:
        return  # what it labels was reported
    for end in range(2, len(path) + 1):
        if label.unit.descend(path[:end]) is None:
            around = label.unit.descend(path[: end - 1])
            if not _has_fault(around):
                where = f" in `{'.'.join(path[: end - 1])}`"
                ctx.report.unknown("module", path[end - 1], stage.path.span, _parts(around), where=where)
            return


def _has_fault(module: Module | None) -> bool:
    """Whether some of what is inside could not be made: then what is missing was told."""
    return any(not isinstance(o.type, Tensor) for unit in inside(module) for o in unit.outputs)


def _parts(module: Module | None) -> list[str]:
    match module:
        case UnitModule(unit=unit):
            return [m.name for m in unit.modules]
        case Copies(units=units):
            return [str(i) for i in range(len(units))]
    return []


def _copy_again(
    module: Momentum, name: str, inputs: tuple[Value, ...], node: tree.Stage | tree.Label, ctx: Context
) -> Flowing:
    """A momentum copy on another value of the shape that its module was made for."""
    x = inputs[0]
    assert isinstance(x.type, Tensor)
    from .momentum import given_by  # few models have such a copy

    types = given_by(module.of, x.type)
    if types is None:
        return _made_for(module, module.of.inputs[0] if isinstance(module.of, LayerModule) else None, x, node, ctx)
    outputs = ctx.emit(RunMomentum(), inputs, types, node.span, name)
    return outputs[0] if len(outputs) == 1 else ctx.owner.results((module.of.name,))(outputs)


def _experts_again(module: Experts, name: str, x: Value, node: tree.Stage | tree.Label, ctx: Context) -> Flowing:
    """Experts on other rows of the same width."""
    made, unit = module.router.inputs[0], module.units[0]
    assert isinstance(x.type, Tensor)
    if x.type.rank < 2 or x.type.dtype != "float" or not equal(x.type.dims[-1], made.dims[-1]):
        return _made_for(module, made, x, node, ctx)
    result = seen_outside(unit.outputs[0].type, unit.scope)
    assert isinstance(result, Tensor)
    return ctx.emit(RunExperts(), (x,), (x.type.with_last(result.dims[-1]),), node.span, name)[0]


def _made_for(module: Module, made: Tensor | None, x: Value, node: tree.Stage | tree.Label, ctx: Context) -> Flowing:
    first = "another shape" if made is None else str(made)
    ctx.report.error(
        "shape-mismatch",
        f"`{module.name}` was made for {first}, and {x.type} comes in here",
        node.span,
        f"{x.type} comes in",
        labels=((module.span, "made here"),),
        help="a module used twice has one set of weights; make a second one for another shape",
    )
    return ctx.unknown()


def _out_of_sight(path: Sequence[str], node: tree.Stage | tree.Label, ctx: Context) -> Flowing:
    outer = ".".join(path[:-1])
    ctx.report.error(
        "unknown-name",
        f"`{'.'.join(path)}` takes what is worked out inside `{outer}`, which is not in sight here",
        node.span,
        f"takes what is inside `{outer}`",
        help=f"work out what it takes in front of `{path[0]}`, where both uses see it",
    )
    return ctx.unknown()
