"""`weight = other.weight`: a layer that has the weight of another."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import LayerModule, Tie
from ..layers.base import Layer
from ..semantics.nearest import is_slip
from ..semantics.number import equal, written
from ..semantics.tensor import Tensor
from .context import Context
from .draft import UnitDraft

TIED = "weight"
"""The option that shares the weight of another layer: `Linear(vocab, weight = wte.weight)`."""


def find_tie(flow: tree.Flow | None, layer: Layer | None, x: Tensor | None, ctx: Context) -> Tie | None:
    """The parameter that `weight = other.weight` names, seen from this unit; its shape must be the same.

    `layer` is None where its other options are at fault, and `x` where what comes in is unknown: then all that is wrong
    with the name is reported, and there is no tie.
    """
    if flow is None:
        return None
    if not isinstance(flow, tree.Stage) or flow.args is not None or len(flow.path.parts) < 2:
        if layer is None:
            return None  # it may be meant for another option
        ctx.report.error(
            "bad-tie",
            "`weight` takes the weight of a labelled layer",
            flow.span,
            "this names none",
            help="label the other layer and write `weight = label.weight`",
        )
        return None
    *modules, parameter = flow.path.parts
    unit = _unit_of(modules[0], ctx)
    found = None if unit is None else unit.descend(modules)
    target = None
    if isinstance(found, LayerModule):
        target = found.layer.parameters(found.inputs[0]).get(parameter)
    if target is None or unit is None:
        if _is_unmade(modules, unit, ctx) and not is_slip(parameter, (TIED,)):
            return None
        there = _weights(ctx)
        if _is_unmade(modules, unit, ctx):
            there.append(".".join((*modules, TIED)))
        ctx.report.unknown("weight", str(flow.path), flow.span, there, where=" above this line", code="unknown-weight")
        return None
    if getattr(layer, "init", None) is not None:
        ctx.report.error(
            "conflict",
            "a weight that is another layer's is drawn there, so there is nothing for `init` to do",
            flow.span,
            f"the weight of `{'.'.join(modules)}`",
            help="take `init` or `weight` out",
        )
        return None
    if layer is None or x is None:
        return None
    mine = layer.parameters(x)[TIED]
    if len(mine.dims) != len(target.dims) or not all(map(equal, mine.dims, target.dims)):
        assert isinstance(found, LayerModule)
        ctx.report.error(
            "tie-mismatch",
            "the two weights are not of one shape, so they cannot be one",
            flow.span,
            f"this layer needs [{', '.join(map(written, mine.dims))}]",
            labels=((found.span, f"`{flow.path}` is [{', '.join(map(written, target.dims))}]"),),
            help="a shared weight is [features, width of what comes in] here",
        )
        return None
    return Tie(tuple(flow.path.parts), ctx.owner.levels_up_to(unit))


def _unit_of(name: str, ctx: Context) -> UnitDraft | None:
    """The unit whose module a path begins with: this one, or one around it that its text stands in."""
    if ctx.owner.find(name) is not None:
        return ctx.owner
    label = ctx.env.label(name)
    return None if label is None else label.unit


def _is_unmade(path: list[str], unit: UnitDraft | None, ctx: Context) -> bool:
    """Whether an error, which was reported, kept a module that a path leads to from being made."""
    unmade = (ctx.owner if unit is None else unit).unmade
    names = [part for part in path if not part.isdecimal()]  # what one copy lacks, all lack
    return any(".".join(names[:end]) in unmade for end in range(1, len(names) + 1))


def _weights(ctx: Context) -> list[str]:
    units = [ctx.owner]
    while units[-1].parent is not None:
        units.append(units[-1].parent)
    return [f"{m.name}.weight" for unit in units for _, m in unit.modules if isinstance(m, LayerModule)]
