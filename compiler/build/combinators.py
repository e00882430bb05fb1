"""Combinators that add no level to the checkpoint: share, dense, checkpoint, and a module's momentum copy."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import Checkpoint, LayerModule, Loop, Momentum, Region, RunMomentum, UnitModule, Value
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.number import Number, number
from ..semantics.tensor import Tensor, same, seen_outside
from . import flows, lines, placing
from .arguments import Given, Written, given_arguments, show_value
from .context import Context, Flowing
from .counts import COUNTS, read_count
from .defaults import DENSE_OPTIONS, MOMENTUM_OPTIONS, SHARE_OPTIONS


def run_share(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """`share(n) { f }`: one copy of f, n times."""
    given = given_arguments(stage, SHARE_OPTIONS, ctx.report)
    body = body_of(stage, "share applies its body several times", "share(4) { ... }", ctx)
    count = None if given is None else count_of("n", given, stage, ctx)
    if body is None:
        return ctx.unknown()
    if count is None:
        lines.run_unplaced(body, ctx)
        return ctx.unknown()
    region = _region(body, x, ctx)
    if not isinstance(region.output.type, Tensor) or not isinstance(x.type, Tensor):
        return ctx.unknown()
    if not same(region.output.type, x.type):
        ctx.report.error(
            "shape-mismatch",
            f"what leaves the body of share enters it again: {x.type} comes in, {region.output.type} comes out",
            stage.path.span,
            f"{x.type}, then {region.output.type}",
            labels=((body.lines[-1].span, f"the body ends in {region.output.type}"),),
            help="let the body end as wide as what comes in",
        )
        return ctx.unknown()
    return ctx.emit(Loop(count, region), (x,), (x.type,), stage.span)[0]


def run_dense(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """`dense { f }`: concat(x, f(x)) along the channel axis, or along `axis`."""
    given = given_arguments(stage, DENSE_OPTIONS, ctx.report)
    body = body_of(stage, "dense puts what its body makes of a value beside it", "dense { ... }", ctx)
    if body is None:
        return ctx.unknown()
    x = ctx.unit.take(x)
    h = flows.first(lines.run_body(body, x, ctx.within(hint=None)), ctx, body)
    if given is None or not isinstance(h.type, Tensor):
        return ctx.unknown()
    path = tree.Path(("concat",), span=stage.path.span)
    named = (tree.Keyword(tree.Name(n, span=o.place), o.flow, span=o.flow.span) for n, o in given.items())
    join = tree.Stage(path, tuple(named), None, span=stage.span)
    return placing.run_concat(join, (x, h), ctx)


def run_checkpoint(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """`checkpoint { f }`: f, its activations computed again in the backward pass."""
    given = given_arguments(stage, (), ctx.report)
    body = body_of(stage, "checkpoint recomputes its body in the backward pass", "checkpoint { ... }", ctx)
    if body is None:
        return ctx.unknown()
    region = _region(body, x, ctx)
    if given is None or not isinstance(region.output.type, Tensor):
        return ctx.unknown()
    return ctx.emit(Checkpoint(region), (x,), (region.output.type,), stage.span)[0]


def run_momentum_copy(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """`momentum_copy(label, 0.999)`: an untrained copy of a module, which follows its weights."""
    given = given_arguments(stage, MOMENTUM_OPTIONS, ctx.report)
    if given is None:
        return ctx.unknown()
    example = "momentum_copy(encoder, 0.999)"
    module = _labelled(given.get("label"), stage, example, ctx)
    rate = number(0.999)
    if "rate" in given:
        value = evaluate(given["rate"].flow, ctx.env, ctx.report)
        if value is FAULT:
            return ctx.unknown()
        if not is_number(value) or value.value is None or not 0 <= value.value <= 1:
            span = given["rate"].flow.span
            label = f"this is {show_value(value)}"
            ctx.report.error("wrong-value", "`rate` takes a number from 0 to 1", span, label, help=f"write `{example}`")
            return ctx.unknown()
        rate = value
    if module is None or not isinstance(x.type, Tensor):
        return ctx.unknown()
    name = ctx.module_name(f"{module.name}_momentum")
    types = _given_by(module, x.type)
    if types is None:
        expected = module.inputs[0] if isinstance(module, LayerModule) else module.unit.inputs[0].type
        if not isinstance(expected, Tensor):
            return ctx.unknown()
        ctx.report.error(
            "shape-mismatch",
            f"`{module.name}` was made for {expected}, and {x.type} comes into its copy",
            stage.span,
            f"{x.type} comes in",
            labels=((module.span, f"{expected} came in where it was made"),),
            help="a copy has the weights of its module, so it takes the same shapes",
        )
        return ctx.unknown()
    ctx.owner.add(Momentum(name, module, rate, stage.span), ctx.place(stage.span))
    outputs = ctx.emit(RunMomentum(), (x,), types, stage.span, name)
    return outputs[0] if len(outputs) == 1 else ctx.owner.results((module.name,))(outputs)


def refuse_project(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """`project` fits a skip to a branch, so it needs both."""
    ctx.report.error(
        "misplaced-project",
        "`project` is the skip of a residual: it fits what comes in to what the body ends in",
        stage.span,
        "no branch to fit to here",
        help=f"write `residual(skip = {stage.span.text}) {{ ... }}`",
    )
    return ctx.unknown()


# --- what combinators share ------------------------------------------------------------------------------------


def body_of(stage: tree.Stage, does: str, example: str, ctx: Context) -> tree.Body | None:
    """The braces of a combinator; None where there are none (reported)."""
    if stage.body is None:
        word = stage.path.parts[0]
        message = f"{does}, and there is none"
        ctx.report.error("missing-body", message, stage.span, f"{word} without braces", help=f"write `{example}`")
    return stage.body


def count_of(name: str, given: Given, stage: tree.Stage, ctx: Context) -> Number | None:
    """A whole number that a combinator needs; None where it is missing or wrong (reported)."""
    word = str(stage.path)
    if name in given:
        return read_count(word, name, given[name].flow, ctx.env, ctx.report)
    message, help = f"`{word}` needs `{name}`", f"such as `{COUNTS[word, name].example}`"
    ctx.report.error("missing-option", message, stage.span, "not given here", help=help)
    return None


def _region(body: tree.Body, x: Value, ctx: Context) -> Region:
    """The body as a flow inside the unit that it stands in."""
    ctx.unit.take(x)
    entering = ctx.unit.own(Value(x.type))
    inner = ctx.within(nodes=[], hint=None)
    y = flows.first(lines.run_body(body, entering, inner), inner, body)
    ctx.unit.consumed.add(y)
    return Region(entering, tuple(inner.nodes), y)


def _labelled(option: Written | None, stage: tree.Stage, example: str, ctx: Context) -> LayerModule | UnitModule | None:
    """The module whose copy is asked for, of the same body; None where there is none (reported)."""
    if option is None:
        message = "momentum_copy needs the label of the module that it copies"
        ctx.report.error("missing-option", message, stage.span, "not given here", help=f"write `{example}`")
        return None
    match option.flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None):
            found = ctx.owner.find(name)
            if isinstance(found, LayerModule | UnitModule):
                return found
            if name in ctx.owner.unmade:
                return None
            if ctx.env.label(name) is None:
                labels = [m.name for _, m in ctx.owner.modules if isinstance(m, LayerModule | UnitModule)]
                ctx.report.unknown("label", name, option.flow.span, labels, where=" above in this body")
                return None
    ctx.report.error(
        "wrong-value",
        "momentum_copy takes the label of a layer, block or group of the same body",
        option.flow.span,
        "not one of them",
        help=f"label it first, `encoder: ...`, and write `{example}`",
    )
    return None


def _given_by(module: LayerModule | UnitModule, x: Tensor) -> tuple[Tensor, ...] | None:
    """What the module gives for `x`; None where it does not take it."""
    if isinstance(module, LayerModule):
        made = module.inputs[0]
        return module.layer.infer(x) if same(made, x) else None
    entering = module.unit.inputs[0].type
    if len(module.unit.inputs) > 1 or not isinstance(entering, Tensor) or not same(entering, x):
        return None
    types = [seen_outside(output.type, module.unit.scope) for output in module.unit.outputs]
    return tuple(type_ for type_ in types if isinstance(type_, Tensor))
