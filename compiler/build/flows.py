"""Placing a flow on the value that runs down the page."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import LayerModule, Run, UnitModule, Value
from ..layers import registry
from ..semantics.evaluate import FAULT, NONE, Recipe, evaluate, is_number
from ..semantics.language import COMBINATORS, FUNCTIONS, LAYERS
from ..semantics.number import MATHS
from ..semantics.tensor import UNKNOWN, Tensor, same, seen_outside
from . import blocks, later, lines, placing, repeating, residuals
from .context import Context, Flowing
from .env import Labelled, OpenFlow, env_of
from .pointwise import combine


def first(flowing: Flowing, ctx: Context, node: tree.Node) -> Value:
    """The one value that flows on: of several results the first; a number cannot flow on."""
    if isinstance(flowing, tuple):
        return flowing[0]
    if isinstance(flowing, Value):
        return flowing
    if isinstance(node, tree.Then):
        node = node.stages[-1]
    ctx.report.error(
        "number-as-stage",
        "a number is the same whatever comes in, and what came in is lost here",
        node.span,
        "a constant, not a stage",
        help="combine it with what flows: `identity * 2`",
    )
    return ctx.unknown()


def run(flow: tree.Flow, x: Value | None, ctx: Context) -> Flowing:
    """Place a flow on `x` (None where no value runs yet); appends nodes and makes modules."""
    match flow:
        case tree.Then(stages=stages):
            flowing: Flowing | None = x
            for stage in stages:
                flowing = run(stage, None if flowing is None else first(flowing, ctx, stage), ctx)
            assert flowing is not None
            return flowing
        case tree.Stage():
            return _stage(flow, x, ctx)
        case tree.Label():
            return _label(flow, x, ctx)
        case tree.Body():
            return lines.run_body(flow, x, ctx)
        case tree.Binary(operator=operator, left=left, right=right):
            return combine(operator, run(left, x, ctx), run(right, x, ctx), flow, ctx)
        case tree.Negate(operand=operand):
            value = evaluate(flow, ctx.env, ctx.report) if not names_flow(operand, ctx) else None
            if value is not None and is_number(value):
                return value
            return combine("neg", run(operand, x, ctx), None, flow, ctx)
        case tree.Choice(then=then, condition=condition, otherwise=otherwise):
            return _choice(then, condition, otherwise, x, ctx)
        case tree.Number() | tree.Percent():
            return evaluate(flow, ctx.env, ctx.report)
        case tree.List():
            ctx.report.later("a list of branches", flow.span)
            later.check_names(flow, ctx)
            return ctx.unknown()
    ctx.report.error(
        "not-a-flow",
        f"`{flow.span.text}` does nothing to what flows",
        flow.span,
        "a layer, function or value is expected here",
        help="write a stage, such as `Linear(64)` or `relu`",
    )
    return ctx.unknown()


# --- names and calls -------------------------------------------------------------------------------------------


def _stage(stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    word = stage.path.parts[0]
    if len(stage.path.parts) > 1:
        return _dotted(stage, x, ctx)
    if stage.args is None and stage.body is None:
        found = ctx.env.lookup(word)
        if found is None:
            label = ctx.env.label(word)
            if label is not None:
                return _again(label, stage, x, ctx)
        if found is not None:
            return _named(found, stage, x, ctx)
    if word == "identity" and stage.args is None:
        return x if x is not None else _needed(x, stage, ctx)
    if word in ctx.env.file.blocks:
        return blocks.run_block(ctx.env.file.blocks[word], stage, _needed(x, stage, ctx), ctx)
    if word in ctx.env.file.models:
        return later.put_off("a model inside another", stage, ctx)
    if word == "residual":
        return residuals.run_residual(stage, _needed(x, stage, ctx), ctx)
    if word == "repeat":
        return repeating.run_repeat(stage, _needed(x, stage, ctx), ctx)
    layer = registry.find(word)
    if layer is not None:
        return placing.run_layer(layer, stage, _needed(x, stage, ctx) if layer.takes_running else None, ctx)
    if word in MATHS and stage.args is not None and not any(names_flow(a, ctx) for a in stage.args):
        return _constant(stage, ctx)
    if word in COMBINATORS | LAYERS | FUNCTIONS | MATHS:
        return later.put_off(f"`{word}`", stage, ctx)
    if word in ctx.env.file.functions:
        return later.put_off(f"`{word}`, a function of the file's own,", stage, ctx)
    later.report_unknown(stage.path, called=stage.args is not None, ctx=ctx)
    return ctx.unknown()


def _constant(stage: tree.Stage, ctx: Context) -> Flowing:
    value = evaluate(stage, ctx.env, ctx.report)
    return ctx.unknown() if value is FAULT or not is_number(value) else value


def _needed(x: Value | None, stage: tree.Node, ctx: Context) -> Value:
    """What runs down the page, where a stage works on it."""
    if x is not None:
        ctx.unit.consumed.add(ctx.unit.take(x))
        return x
    inputs = ", ".join(f"`{value.name}`" for value in ctx.unit.inputs if value.name)
    ctx.report.error(
        "nothing-flows",
        "no value runs here yet: with several inputs a body starts with none of them",
        stage.span,
        "there is nothing for it to work on",
        help=f"begin with an input: `{ctx.unit.inputs[0].name} -> {stage.span.text}`" if inputs else "",
    )
    return ctx.unknown()


def _named(found: object, stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    if isinstance(found, Value):
        return ctx.unit.take(found)
    if isinstance(found, OpenFlow):
        return _run_open(found, stage, _needed(x, stage, ctx), ctx)
    if isinstance(found, Recipe):
        return run_recipe(found, _needed(x, stage, ctx), ctx.within(site=ctx.place(stage.span)))
    if is_number(found):
        return found  # type: ignore[return-value]
    if isinstance(found, tuple) and found and all(isinstance(item, Value) for item in found):
        return tuple(ctx.unit.take(item) for item in found)
    if found is FAULT:
        return ctx.unknown()
    if found is NONE:
        ctx.report.error("none-as-stage", f"`{stage.path}` is none here", stage.span, "there is no flow to run")
        return ctx.unknown()
    ctx.report.error(
        "not-a-flow", f"`{stage.path}` is {_kind(found)}, which does nothing to what flows", stage.span, "not a stage"
    )
    return ctx.unknown()


def _run_open(flow: OpenFlow, stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """A flow under a name: its modules belong to the body where its `=` stands, and to no other."""
    if flow.unit is ctx.unit:
        return run(flow.flow, x, ctx.within(env=flow.env, opened=flow, site=None))
    inside = OpenFlow(flow.flow, flow.env, ctx.unit)
    flowing = run(flow.flow, x, ctx.within(env=flow.env, opened=inside, site=None))
    if not inside.made:
        return flowing
    ctx.report.later("a flow with modules, used in a block, group or repeat inside its body,", stage.span)
    return ctx.unknown()


def _kind(found: object) -> str:
    return "true or false" if isinstance(found, bool) else "text" if isinstance(found, str) else "a list"


def run_recipe(recipe: Recipe, x: Value, ctx: Context) -> Flowing:
    """A flow that was handed over: its modules are made here, its names looked up where it was written."""
    return run(recipe.flow, x, ctx.within(env=env_of(recipe), opened=None))


def _again(label: Labelled, stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    """A label used as a stage: that module once more."""
    module = ctx.unit.find(label.module)
    x = _needed(x, stage, ctx)
    if module is None:
        return later.put_off("a module of the body around this one, used again,", stage, ctx)
    if isinstance(x.type, type(UNKNOWN)):
        return ctx.unknown()
    if isinstance(module, LayerModule):
        return placing.run_again(module, module.layer, stage, (x, *ctx.unit.beside(module.name)), ctx)
    return run_unit_again(module.name, stage, x, ctx)


def run_unit_again(name: str, node: tree.Stage | tree.Label, x: Value, ctx: Context) -> Flowing:
    """A block or group once more, with the weights that it has."""
    module = ctx.unit.find(name)
    if isinstance(module, UnitModule) and len(module.unit.inputs) == 1:
        expected = module.unit.inputs[0].type
        if not isinstance(x.type, Tensor) or not isinstance(expected, Tensor):
            return ctx.unknown()
        if same(expected, x.type):
            types = tuple(seen_outside(o.type, module.unit.scope) for o in module.unit.outputs)
            outputs = ctx.emit(Run(), (x,), types, node.span, name)
            return outputs[0] if len(outputs) == 1 else outputs
    ctx.report.later("a group of layers, used again on another shape or with further inputs,", node.span)
    return ctx.unknown()


def _dotted(stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    head = stage.path.parts[0]
    if head in ("std", "data"):
        ctx.report.later(f"`{head}.` here", stage.span)
    elif ctx.env.label(head) is not None:
        ctx.report.later("a module inside a group, used again,", stage.span)
    else:
        ctx.report.unknown("label", head, stage.path.span, ctx.env.names())
    return ctx.unknown()


def _label(label: tree.Label, x: Value | None, ctx: Context) -> Flowing:
    """`name: stage` names one module; a body, or a flow of several modules, becomes a group of that name."""
    lines.enter_label(label, ctx)
    target = label.target
    value = _needed(x, label.target, ctx) if isinstance(target, tree.Stage) else x
    if isinstance(target, tree.Stage) and not _makes_group(target, ctx):
        before = len(ctx.unit.modules)
        flowing = run(target, value, ctx.within(hint=label.name.text, site=ctx.place(label.span)))
        made = ctx.unit.find(label.name.text) is not None or ctx.made_before(target) is not None
        if (
            not made
            and target.path.parts != ("repeat",)  # no copies: the identity
            and not isinstance(first(flowing, ctx, target).type, type(UNKNOWN))
            and len(ctx.unit.modules) == before
        ):
            ctx.report.error(
                "label-without-module",
                f"`{target.path}` has no module that a label could name",
                label.name.span,
                "names nothing",
                help=f"write `{target.span.text} as {label.name.text}` to name the value that flows out",
            )
        return flowing
    body = target if isinstance(target, tree.Body) else tree.Body((target,), span=target.span)
    return blocks.run_group(label, body, first(value, ctx, label) if value is not None else None, ctx)


def _makes_group(stage: tree.Stage, ctx: Context) -> bool:
    """Whether a labelled stage is a flow of several modules: a residual, or a recipe that is more than one call."""
    if stage.path.parts[0] in ("residual", "share", "dense", "checkpoint", "experts"):
        return True
    if stage.args is not None or stage.body is not None:
        return False
    found = ctx.env.lookup(stage.path.parts[0])
    return isinstance(found, Recipe) and not isinstance(found.flow, tree.Stage)


# --- combining -------------------------------------------------------------------------------------------------


def _choice(then: tree.Flow, condition: tree.Flow, otherwise: tree.Flow, x: Value | None, ctx: Context) -> Flowing:
    picked = evaluate(
        tree.Choice(
            tree.Bool(True, span=then.span), condition, tree.Bool(False, span=otherwise.span), span=condition.span
        ),
        ctx.env,
        ctx.report,
    )
    if picked is FAULT:
        return ctx.unknown()
    chosen, other = (then, otherwise) if picked else (otherwise, then)
    later.check_names(other, ctx)
    if isinstance(chosen, tree.Nothing) and x is not None:
        return x  # `none` on the side that was chosen leaves what flows as it is
    return run(chosen, x, ctx)


def names_flow(flow: tree.Node, ctx: Context) -> bool:
    """Whether a flow takes or names something that flows, rather than being known when the model is built."""
    match flow:
        case tree.Keyword(value=value):
            return names_flow(value, ctx)
        case tree.Number() | tree.Percent() | tree.String() | tree.Bool() | tree.Nothing():
            return False
        case tree.Negate(operand=operand):
            return names_flow(operand, ctx)
        case tree.Binary(left=left, right=right):
            return names_flow(left, ctx) or names_flow(right, ctx)
        case tree.Choice(then=then, otherwise=otherwise):
            return names_flow(then, ctx) or names_flow(otherwise, ctx)
        case tree.List(entries=entries):
            return any(names_flow(entry, ctx) for entry in entries)
        case tree.Stage(path=path, args=None, body=None) if len(path.parts) == 1:
            found = ctx.env.lookup(path.parts[0])
            return not (is_number(found) or found is FAULT or found is NONE or isinstance(found, str | bool))
        case tree.Stage(path=path, args=args, body=None) if path.parts[0] in MATHS:
            return any(names_flow(arg, ctx) for arg in args or ())
    return True
