"""Placing a layer on a value: its options, its type, its module and its name."""

from __future__ import annotations

from dataclasses import dataclass

from ...grammar import tree
from ..ir.graph import Apply, LayerModule, Tie, UnitModule, Value
from ..layers.base import NOTHING, Layer, ShapeFault
from ..layers.registry import stem
from ..semantics.number import equal, written
from ..semantics.tensor import Tensor
from .arguments import gathered, given_arguments, read_options
from .context import Context, Flowing
from .defaults import defaults_for
from .later import check_names
from .sides import Sides

TIED = "weight"
"""The option that shares the weight of another layer: `Linear(vocab, weight = wte.weight)`."""


def run_layer(kind: type[Layer], stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    """Place one layer; a fault in its options or in what comes in is reported and gives an unknown value.

    `x` is None for a source, which takes nothing by the arrow.
    """
    before = ctx.made_before(stage)
    if stage.body is not None:
        ctx.report.error(
            "unexpected-body",
            f"`{kind.word}` takes no braces",
            stage.body.span,
            "not a combinator",
            help=f"write `{kind.word}`",
        )
    read = read_layer(kind, stage, ctx)
    if read is None:
        return ctx.unknown()
    entering = NOTHING if x is None else x.type
    sides = read.sides if x is None else (x, *read.sides)
    if not isinstance(entering, Tensor) or not all(isinstance(side.type, Tensor) for side in read.sides):
        return ctx.unknown()
    if before is not None:
        module = ctx.unit.find(before)
        assert isinstance(module, LayerModule)
        return run_again(module, read.layer, stage, sides, ctx)
    types = _infer(read.layer, stage, entering, ctx)
    if types is None:
        return ctx.unknown()
    name = None
    if read.layer.is_module:
        hinted = ctx.hint
        name = hinted if hinted is not None and ctx.unit.find(hinted) is None else ctx.unit.free_name(stem(kind.word))
        tie = _tie(read.tie, read.layer, entering, ctx)
        ctx.make(LayerModule(name, read.layer, (entering,), stage.span, tie), stage)
        ctx.unit.set_beside(name, read.sides)
    return _results(ctx.emit(Apply(read.layer), sides, types, stage.span, name))


def run_again(module: LayerModule, layer: Layer, stage: tree.Stage, inputs: tuple[Value, ...], ctx: Context) -> Flowing:
    """The same module on another value: its weights must fit what comes in. `layer` has this use's side inputs."""
    x = inputs[0].type if layer.takes_running else NOTHING
    if not isinstance(x, Tensor):
        return ctx.unknown()
    types = _infer(layer, stage, x, ctx)
    if types is None:
        return ctx.unknown()
    here, there = layer.parameters(x), module.layer.parameters(module.inputs[0])
    for key, parameter in here.items():
        if not all(map(equal, parameter.dims, there[key].dims)):
            ctx.report.error(
                "shape-mismatch",
                f"`{module.name}` was made for {module.inputs[0]}, and {x} comes in here",
                stage.span,
                f"{x} comes in",
                labels=((module.span, f"{module.inputs[0]} came in where it was made"),),
                help="a module used twice has one set of weights; make a second layer for another shape",
            )
            return ctx.unknown()
    return _results(ctx.emit(Apply(layer), inputs, types, stage.span, module.name))


def _results(outputs: tuple[Value, ...]) -> Flowing:
    return outputs[0] if len(outputs) == 1 else outputs


@dataclass(frozen=True)
class ReadLayer:
    """A call that was read: the layer with its options, the values of its side inputs, and what `weight =` names."""

    layer: Layer
    sides: tuple[Value, ...]
    tie: tree.Flow | None


def read_layer(kind: type[Layer], stage: tree.Stage, ctx: Context) -> ReadLayer | None:
    """The options of a layer's call; None where one is wrong or needs a later version (reported)."""
    names = list(kind.options)
    misfits: list[str] = []
    written = gathered(kind.variadic, stage)
    given = given_arguments(written, names, ctx.report, later=kind.later, misfits=misfits) or {}
    defaults = defaults_for(kind.word, stage, ctx.env)
    put_off = False
    for name in sorted(kind.later):
        option = given.get(name) or defaults.get(name)
        if option is not None and not isinstance(option.flow, tree.Nothing):
            ctx.report.later(f"the option `{name}` of `{kind.word}`", option.place)
            check_names(option.flow, ctx)
            put_off = True
    if put_off:
        return None
    given = {name: option for name, option in given.items() if name not in kind.later}
    kept = {name: option for name, option in defaults.items() if name in names}
    tie = given.pop(TIED, None) if TIED in names else None
    sides = Sides(kind.word, ctx)
    ready = sides.read(kind, {**kept, **given})
    if ready is None:
        return None
    layer = read_options(kind, kind.word, given, kept, ctx.env, ctx.report, stage.span, ready=ready, misfits=misfits)
    if layer is None:
        return None
    named = None if tie is None or isinstance(tie.flow, tree.Nothing) else tie.flow
    return ReadLayer(layer, sides.values, named)


def _infer(layer: Layer, stage: tree.Stage, x: Tensor, ctx: Context) -> tuple[Tensor, ...] | None:
    try:
        return tuple(type_.named_like(x) for type_ in layer.infer(x))
    except ShapeFault as fault:
        place = next(
            (a.span for a in stage.args or () if isinstance(a, tree.Keyword) and a.name.text == fault.option),
            stage.span,
        )
        label = f"{x} comes in" if layer.takes_running else "here"
        ctx.report.error("shape-mismatch", fault.message, place, label, help=fault.help)
        return None


def _tie(flow: tree.Flow | None, layer: Layer, x: Tensor, ctx: Context) -> Tie | None:
    """The parameter that `weight = other.weight` names, seen from this unit; its shape must be the same."""
    if flow is None:
        return None
    if not isinstance(flow, tree.Stage) or flow.args is not None or len(flow.path.parts) < 2:
        ctx.report.error(
            "bad-tie",
            "`weight` takes the weight of a labelled layer",
            flow.span,
            "this names none",
            help="label the other layer and write `weight = label.weight`",
        )
        return None
    *modules, parameter = flow.path.parts
    unit, target = ctx.unit, None
    found = ctx.unit.find(modules[0])
    if found is None and ctx.env.label(modules[0]) is not None:
        ctx.report.later("a weight shared with the body around this one", flow.span)
        return None
    for name in modules[1:]:
        inner = found.unit if isinstance(found, UnitModule) else None
        found = next((m for m in inner.modules if m.name == name), None) if inner else None
    if isinstance(found, LayerModule):
        target = found.layer.parameters(found.inputs[0]).get(parameter)
    if target is None:
        labels = [f"{m.name}.weight" for _, m in unit.modules if isinstance(m, LayerModule)]
        ctx.report.unknown("weight", str(flow.path), flow.span, labels, where=" above this line", code="unknown-weight")
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
    return Tie(tuple(flow.path.parts))
