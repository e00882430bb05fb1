"""Placing a layer on a value: its options, its type, its module and its name."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import Apply, LayerModule, Tie, UnitModule, Value
from ..layers.base import Layer, ShapeFault
from ..layers.registry import stem
from ..semantics.number import equal, written
from ..semantics.tensor import Tensor
from .arguments import Given, given_arguments, read_options
from .context import Context, Flowing
from .defaults import defaults_for
from .later import check_names

TIED = "weight"
"""The option that shares the weight of another layer: `Linear(vocab, weight = wte.weight)`."""


def run_layer(kind: type[Layer], stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """Place one layer; a fault in its options or in what comes in is reported and gives an unknown value."""
    before = ctx.made_before(stage)
    if before is not None:
        module = ctx.unit.find(before)
        assert isinstance(module, LayerModule)
        return run_again(module, stage, x, ctx)
    if stage.body is not None:
        ctx.report.error(
            "unexpected-body",
            f"`{kind.word}` takes no braces",
            stage.body.span,
            "not a combinator",
            help=f"write `{kind.word}`",
        )
    layer, tie = _options(kind, stage, ctx)
    if layer is None or not isinstance(x.type, Tensor):
        return ctx.unknown()
    types = _infer(layer, stage, x, ctx)
    if types is None:
        return ctx.unknown()
    name = None
    if layer.is_module:
        hinted = ctx.hint
        name = hinted if hinted is not None and ctx.unit.find(hinted) is None else ctx.unit.free_name(stem(kind.word))
        module = LayerModule(name, layer, (x.type,), stage.span, _tie(tie, layer, x.type, ctx))
        ctx.make(module, stage)
    return _results(ctx.emit(Apply(layer), (x,), types, stage.span, name))


def run_again(module: LayerModule, stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """The same module on another value: its weights must fit what comes in."""
    if not isinstance(x.type, Tensor):
        return ctx.unknown()
    types = _infer(module.layer, stage, x, ctx)
    if types is None:
        return ctx.unknown()
    here, there = module.layer.parameters(x.type), module.layer.parameters(module.inputs[0])
    for key, parameter in here.items():
        if not all(map(equal, parameter.dims, there[key].dims)):
            ctx.report.error(
                "shape-mismatch",
                f"`{module.name}` was made for {module.inputs[0]}, and {x.type} comes in here",
                stage.span,
                f"{x.type} comes in",
                labels=((module.span, f"{module.inputs[0]} came in where it was made"),),
                help="a module used twice has one set of weights; make a second layer for another shape",
            )
            return ctx.unknown()
    return _results(ctx.emit(Apply(module.layer), (x,), types, stage.span, module.name))


def _results(outputs: tuple[Value, ...]) -> Flowing:
    return outputs[0] if len(outputs) == 1 else outputs


def _options(kind: type[Layer], stage: tree.Stage, ctx: Context) -> tuple[Layer | None, tree.Flow | None]:
    names = list(kind.options)
    given = given_arguments(stage, names, ctx.report, later=kind.later)
    if given is None:
        return None, None
    defaults = defaults_for(kind.word, stage, ctx.env)
    put_off = False
    for name in sorted(kind.later):
        option = given.get(name) or defaults.get(name)
        if option is not None and not isinstance(option.flow, tree.Nothing):
            ctx.report.later(f"the option `{name}` of `{kind.word}`", option.place)
            check_names(option.flow, ctx)
            put_off = True
    if put_off:
        return None, None
    kept = {name: option for name, option in defaults.items() if name in names}
    tie = given.pop(TIED, None) if TIED in names else None
    layer = read_options(kind, kind.word, _without(given, kind.later), kept, ctx.env, ctx.report, stage.span)
    return layer, tie.flow if tie is not None and not isinstance(tie.flow, tree.Nothing) else None


def _without(given: Given, later: frozenset[str]) -> Given:
    return {name: option for name, option in given.items() if name not in later}


def _infer(layer: Layer, stage: tree.Stage, x: Value, ctx: Context) -> tuple[Tensor, ...] | None:
    assert isinstance(x.type, Tensor)
    try:
        return layer.infer(x.type)
    except ShapeFault as fault:
        place = next(
            (a.span for a in stage.args or () if isinstance(a, tree.Keyword) and a.name.text == fault.option),
            stage.span,
        )
        label = f"{x.type} comes in"
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
