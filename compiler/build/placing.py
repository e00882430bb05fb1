"""Placing a layer on a value: its options, its type, its module and its name."""

from __future__ import annotations

from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..ir.graph import Apply, LayerModule, Module, Value, layer_around
from ..layers import registry
from ..layers.base import NOTHING, Layer, ShapeFault
from ..layers.registry import stem
from ..layers.side import Side
from ..semantics.number import equal
from ..semantics.tensor import UNKNOWN, Tensor
from . import ties
from .arguments import given_to_layer, read_options
from .context import Branches, Context, Flowing, Inside
from .defaults import defaults_for
from .draft import labels_in
from .order import in_other_order, without_what_comes_in
from .sides import Sides
from .written_names import check_names

_MOST_TOLD = 1_000
"""Parts of a `split` on an unknown value; what is known has no more than it has entries."""


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
    # Its name first: what its arguments make lies inside it.
    name = before or ctx.module_name(stem(kind.word))
    modules = len(ctx.owner.modules)
    entering = NOTHING if x is None else x.type
    call = without_what_comes_in(kind, stage, entering, ctx.env, ctx.report)
    read = read_layer(kind, call, _in_arguments(kind, stage, name, ctx))
    if read is None:
        if before is None:
            ctx.leave_unmade(name)
        return ctx.unknown()
    sides = read.sides if x is None else (x, *read.sides)
    if not isinstance(entering, Tensor) or not all(isinstance(side.type, Tensor) for side in read.sides):
        if before is None and read.layer.is_module:
            ties.find_tie(read.tie, read.layer, None, ctx)
            ctx.leave_unmade(name)
        return _unknown_results(read.layer, ctx)
    if kind.withheld:
        ctx.leave_unmade(name)
        return ctx.emit(Apply(read.layer), sides, (UNKNOWN,), stage.span)[0]
    if before is not None:
        module = ctx.unit.find(before)
        assert isinstance(module, LayerModule)
        return run_again(module, read.layer, before, stage, sides, ctx)
    types = infer(read.layer, call, entering, ctx)
    if types is None:
        ties.find_tie(read.tie, read.layer, None, ctx)
        ctx.leave_unmade(name)
        return ctx.unknown()
    local = None
    if read.layer.is_module:
        own = ctx.outward(entering)
        assert isinstance(own, Tensor)
        tie = ties.find_tie(read.tie, read.layer, entering, ctx)
        inside = [module for _, module in ctx.owner.modules[modules:] if layer_around(module) == name]
        _check_names_inside(inside, read.layer, own, ctx)
        local = ctx.make(LayerModule(name, read.layer, (own,), stage.span, tie), stage, read.sides)
    outputs = ctx.emit(Apply(read.layer), sides, types, stage.span, local)
    return _results(outputs, whole=read.layer.flowing_whole is not None)


def _in_arguments(kind: type[Layer], stage: tree.Stage, name: str, ctx: Context) -> Context:
    """Where the arguments of a call are read: modules that they make lie inside its layer."""
    if not kind.holds_modules:
        return ctx
    labels = labels_in(tree.Body((tree.Stage(stage.path, stage.args, None, span=stage.span),), span=stage.span))
    return ctx.within(inside=Inside(name.lstrip("^"), labels), hint=None)


def _check_names_inside(inside: Sequence[Module], layer: Layer, x: Tensor, ctx: Context) -> None:
    """Reports what was made in the arguments of a layer under a name that the layer's class has itself."""
    if not inside:
        return
    taken = layer.taken | set(layer.options) | {key.partition(".")[0] for key in layer.parameters(x)}
    for module in inside:
        inner = module.name.rpartition(".")[2]
        if inner in taken:
            ctx.report.error(
                "taken-label",
                f"`{inner}` is a name that {layer.word} has itself, so nothing inside it can be called so",
                module.span,
                f"would be `{module.name}`",
                help=f"write `{inner}_layer: ...`",
            )


def run_concat(stage: tree.Stage, values: Sequence[Value], ctx: Context) -> Flowing:
    """`concat` on several values at once, those of a list or `split`: the first flows, the others come beside it."""
    kind = registry.get("concat")
    read = read_layer(kind, stage, ctx)
    first, *others = (ctx.unit.take(value) for value in values)
    beside = (*others, *(() if read is None else read.sides))
    types = [value.type for value in beside if isinstance(value.type, Tensor)]
    if read is None or not isinstance(first.type, Tensor) or len(types) < len(beside):
        return ctx.unknown()
    sides = tuple(Side(type_, place) for place, type_ in enumerate(types, 1))
    layer = kind(**{name: getattr(read.layer, name) for name in kind.options} | {"others": sides})
    inferred = infer(layer, stage, first.type, ctx)
    if inferred is None:
        return ctx.unknown()
    return _results(ctx.emit(Apply(layer), (first, *beside), inferred, stage.span))


def put(layer: Layer, name: str, x: Value, span: Span, ctx: Context) -> Value:
    """Place a layer that a combinator brings, under a name that is free; it fits what flows."""
    assert isinstance(x.type, Tensor)
    types = layer.infer(x.type)
    if layer.is_module:
        name = ctx.full_name(name)
        ctx.unit.add(LayerModule(name, layer, (x.type,), span), ctx.place(span))
    return ctx.emit(Apply(layer), (x,), types, span, name if layer.is_module else None)[0]


def run_again(
    module: LayerModule,
    layer: Layer,
    name: str,
    stage: tree.Stage | tree.Label,
    inputs: tuple[Value, ...],
    ctx: Context,
) -> Flowing:
    """The same module on another value: its weights must fit what comes in.

    `layer` has this use's side inputs; `name` is what this unit calls the module.
    """
    x = inputs[0].type if layer.takes_running else NOTHING
    if not isinstance(x, Tensor):
        return ctx.unknown()
    types = infer(layer, stage, x, ctx)
    if types is None:
        return ctx.unknown()
    first = module.inputs[0]
    here, there = (one.parameters(at) | one.buffers(at) for one, at in ((layer, x), (module.layer, first)))
    same_weights = all(all(map(equal, parameter.dims, there[key].dims)) for key, parameter in here.items())
    if not same_weights or layer.axes_of_module(x) != layer.axes_of_module(first):
        why = f"a {layer.word} is for one number of axes" if same_weights else "a layer has one set of weights"
        by_label = isinstance(stage, tree.Stage) and stage.args is None and stage.path.parts[-1] == module.name
        second = module.span.text if by_label else ""
        ctx.report.error(
            "shape-mismatch",
            f"`{module.name}` was made for {first}, and {x} comes in here",
            stage.span,
            f"{x} comes in",
            labels=((module.span, f"{first} came in where it was made"),),
            help=f"{why}; make a second one{f': `{second}`' if second else ' for another shape'}",
            fixes=(Fix(stage.span, second),) if second else (),
        )
        return ctx.unknown()
    return _results(ctx.emit(Apply(layer), inputs, types, stage.span, name), whole=layer.flowing_whole is not None)


def _unknown_results(layer: Layer, ctx: Context) -> Flowing:
    """What a layer gives for what is unknown: values that flow on whole are no less easily lost."""
    count = layer.flowing_whole
    if count is None or count > _MOST_TOLD:
        return ctx.unknown()
    return _results(tuple(ctx.unknown() for _ in range(count)), whole=True)


def _results(outputs: tuple[Value, ...], *, whole: bool = False) -> Flowing:
    if len(outputs) == 1:
        return outputs[0]
    return Branches(outputs) if whole else outputs


class ReadLayer(Frozen):
    """A call that was read: the layer with its options, the values of its side inputs, and what `weight =` names."""

    layer: Layer
    sides: tuple[Value, ...]
    tie: tree.Flow | None


def read_layer(kind: type[Layer], stage: tree.Stage, ctx: Context) -> ReadLayer | None:
    """The options of a layer's call; None where one is wrong (reported)."""
    names = list(kind.options)
    misfits: list[str] = []
    given = given_to_layer(kind, stage, ctx.report, misfits) or {}
    if misfits:
        check_names(stage, ctx)  # what stands there is no less used
    defaults = defaults_for(kind.word, stage, ctx.env)
    kept = {name: option for name, option in defaults.items() if name in names}
    tie = given.pop(ties.TIED, None) if ties.TIED in names else None
    sides = Sides(kind.word, ctx)
    named = None if tie is None or isinstance(tie.flow, tree.Nothing) else tie.flow
    ready = sides.read(kind, {**kept, **given})
    layer = None
    if ready is not None:
        layer = read_options(
            kind, kind.word, given, kept, ctx.env, ctx.report, stage.span, ready=ready, misfits=misfits
        )
    if layer is None or misfits:
        ties.find_tie(named, None, None, ctx)
        return None
    return ReadLayer(layer, sides.values, named)


def infer(layer: Layer, stage: tree.Stage | tree.Label, x: Tensor, ctx: Context) -> tuple[Tensor, ...] | None:
    """The types of the outputs; None where what comes in does not fit (reported)."""
    if isinstance(stage, tree.Stage) and in_other_order(layer, stage, x, ctx.report):
        return None
    try:
        return tuple(type_.named_like(x) for type_ in layer.infer(x))
    except ShapeFault as fault:
        label = fault.label or (f"{x} comes in" if layer.takes_running else "here")
        place = _blamed(fault, layer, stage)
        ctx.report.error(fault.code, fault.message, place, label, help=fault.help, labels=fault.labels)
        return None


def _blamed(fault: ShapeFault, layer: Layer, stage: tree.Stage | tree.Label) -> Span:
    """The place of what is to blame: an option that was named, a part of an option's text, else the whole call."""
    args = (stage.args or ()) if isinstance(stage, tree.Stage) else ()
    for position, arg in enumerate(args):
        keyword = isinstance(arg, tree.Keyword)
        name = arg.name.text if keyword else next(iter(list(layer.options)[position:]), None)
        text = arg.value if keyword else arg
        if name != fault.option:
            continue
        if fault.part is not None and isinstance(text, tree.String):
            begin = text.span.start + 1  # behind the quote
            return text.span.source.span(begin + fault.part[0], begin + fault.part[1])
        if keyword:
            return arg.span
    return stage.span
