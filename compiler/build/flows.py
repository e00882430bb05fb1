"""Placing a flow on the value that runs down the page."""

from __future__ import annotations

from collections.abc import Callable

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..ir.graph import Value
from ..layers.registry import stem
from ..semantics import language
from ..semantics.arithmetic import MATHS
from ..semantics.evaluate import FAULT, NONE, Recipe, evaluate, is_number
from ..semantics.nearest import nearest
from ..semantics.number import Number, Reference
from ..semantics.tensor import UNKNOWN
from . import (
    blocks,
    branches,
    combinators,
    experts,
    foreign,
    lines,
    maths,
    placing,
    repeating,
    residuals,
    reuse,
    scalar,
    written_names,
)
from .context import Branches, Context, Flowing
from .defaults import COMBINATOR_OPTIONS
from .draft import UnitDraft
from .env import OpenFlow, env_of, origins
from .pointwise import combine


def one(flowing: Flowing, ctx: Context, node: tree.Node, *, is_stage: bool = False) -> Value | Number:
    """The one value or number that `node` gives: of several results the first; a list or `split` would lose the others
    (reported)."""
    if isinstance(flowing, Branches) and flowing.would_lose:
        branches.report_lost(flowing, _last(node), ctx, is_stage=is_stage)
        return ctx.unknown()
    if isinstance(flowing, tuple):
        return flowing[0] if flowing else ctx.unknown()  # what promises no outputs was told there
    return flowing


def _last(node: tree.Node) -> tree.Node:
    """Where on the page what a flow gives is made: its last stage."""
    match node:
        case tree.Then(stages=stages):
            return _last(stages[-1])
        case tree.Body(lines=body):
            stages = [line for line in body if not isinstance(line, tree.Binding | tree.Default | tree.Phase)]
            return _last(stages[-1]) if stages else node
        case tree.Named(flow=flow):
            return _last(flow)
    return node


def first(flowing: Flowing, ctx: Context, node: tree.Node) -> Value:
    """The one value that flows on, as `one`; a number cannot flow on."""
    flowing = one(flowing, ctx, node, is_stage=True)
    if isinstance(flowing, Value):
        return flowing
    node = _last(node)
    if _hides_block(node, ctx):
        ctx.report.error(
            "number-as-stage",
            f"`{node.span.text}` is a dim here, and hides the block of that name",
            node.span,
            "a number, not a stage",
            help=f"write `{node.span.text}()` for the block, or give one of them another name",
            fixes=(Fix(node.span, f"{node.span.text}()"),),
        )
        return ctx.unknown()
    ctx.report.error(
        "number-as-stage",
        "a number is the same whatever comes in, and what came in is lost here",
        node.span,
        "a constant, not a stage",
        labels=origins(node, ctx.env) if isinstance(node, tree.Stage) else (),
        help="combine it with what flows: `identity * 2`",
    )
    return ctx.unknown()


def _hides_block(node: tree.Node, ctx: Context) -> bool:
    """Whether a name is the dim of an input where the file has a block or model that is called the same."""
    match node:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None):
            found, file = ctx.env.lookup(name), ctx.env.file
            is_dim = isinstance(found, Reference) and found.kind in ("open", "dim")
            return is_dim and (name in file.blocks or name in file.models)
    return False


def run(flow: tree.Flow, x: Value | None, ctx: Context) -> Flowing:
    """Place a flow on `x` (None where no value runs yet); appends nodes and makes modules."""
    match flow:
        case tree.Then(stages=stages):
            flowing: Flowing | None = x
            for position, stage in enumerate(stages):
                if position and is_number(flowing):
                    flowing = first(flowing, ctx, stages[position - 1])  # type: ignore[arg-type]
                flowing = run_on(stage, flowing, ctx)
            assert flowing is not None
            return flowing
        case tree.Stage():
            return _stage(flow, x, ctx)
        case tree.Label():
            return _label(flow, x, ctx)
        case tree.Body():
            return lines.run_body(flow, x, ctx)
        case tree.Binary(operator=operator, left=left, right=right):
            sides = one(run(left, x, ctx), ctx, left), one(run(right, x, ctx), ctx, right)
            return combine(operator, *sides, flow, ctx)
        case tree.Negate(operand=operand):
            value = evaluate(flow, ctx.env, ctx.report) if not names_flow(operand, ctx) else None
            if value is not None and is_number(value):
                return value
            return combine("neg", one(run(operand, x, ctx), ctx, operand), None, flow, ctx)
        case tree.Choice(then=then, condition=condition, otherwise=otherwise):
            return _choice(then, condition, otherwise, x, ctx)
        case tree.Number() | tree.Percent():
            return evaluate(flow, ctx.env, ctx.report)
        case tree.List(entries=entries):
            return branches.run_branches(flow, entries, x, ctx)
    ctx.report.error(
        "not-a-flow",
        f"`{flow.span.text}` does nothing to what flows",
        flow.span,
        "a layer, function or value is expected here",
        help="write a stage, such as `Linear(64)` or `relu`",
    )
    return ctx.unknown()


def run_on(flow: tree.Flow, before: Flowing | None, ctx: Context) -> Flowing:
    """Place a flow on what the one before it gives: several values flow on whole into `concat`, else the first does."""
    if before is None:
        return run(flow, None, ctx)
    if isinstance(before, Branches):
        return branches.run_on_branches(flow, before, ctx)
    return run(flow, first(before, ctx, flow), ctx)


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
                return reuse.run_label(label, stage, x, ctx)
        if found is not None:
            return _named(found, stage, x, ctx)
    if word == "identity" and stage.args is None:
        return x if x is not None else needed(x, stage, ctx)
    file = ctx.env.file
    if word in file.blocks:
        return blocks.run_block(file.blocks[word], stage, x, ctx)
    if word in file.models:
        return blocks.run_block(file.models[word], stage, x, ctx)
    combinator = _COMBINATORS.get(word)
    if combinator is not None:
        _use_unknown_options(stage, ctx)
        return combinator(stage, needed(x, stage, ctx), ctx)
    layer = file.layer(word)
    if layer is not None:
        return placing.run_layer(layer, stage, needed(x, stage, ctx) if layer.takes_running else None, ctx)
    if word in MATHS:
        return maths.run_maths(stage, x, ctx)
    if word in file.functions:
        return scalar.run_function(file.functions[word], stage, x, ctx)
    written_names.report_unknown(stage.path, called=stage.args is not None, ctx=ctx)
    written_names.check_options_of_meant(stage, ctx)
    written_names.check_names(stage.args, ctx, _index_in(stage))  # what is named there is used
    if stage.body is not None:
        lines.run_unplaced(stage.body, ctx, repeating.index_of(stage))
    meant = nearest(word, language.layers(), language.SPELLINGS) if word[:1].isupper() else None
    if meant is not None:
        ctx.leave_unmade(ctx.module_name(stem(meant)))
    return ctx.unknown()


def _use_unknown_options(stage: tree.Stage, ctx: Context) -> None:
    """What stands behind an option that a combinator has not is no less used."""
    legal = COMBINATOR_OPTIONS[stage.path.parts[0]]
    if any(isinstance(arg, tree.Keyword) and arg.name.text not in legal for arg in stage.args or ()):
        call = tree.Stage(stage.path, stage.args, None, span=stage.span)
        written_names.check_names(call, ctx, _index_in(stage))


def _index_in(stage: tree.Stage) -> written_names.Local:
    """The name that what is, or was to be, a `repeat` gives to the number of its copies."""
    index = repeating.index_of(stage)
    return written_names.NO_NAMES if index is None else written_names.Local(frozenset({index.text}))


def needed(x: Value | None, stage: tree.Node, ctx: Context) -> Value:
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
        return _run_open(found, stage, needed(x, stage, ctx), ctx)
    if isinstance(found, Recipe):
        x = needed(x, stage, ctx)
        inside = ctx.opening(str(stage.path), found.flow, stage.span, found.scope)
        if inside is None:
            return ctx.unknown()
        return run_recipe(found, x, inside.within(site=ctx.place(stage.span)))
    if is_number(found):
        return found  # type: ignore[return-value]
    if isinstance(found, tuple) and found and all(isinstance(item, Value) for item in found):
        taken = (ctx.unit.take(item) for item in found)
        return type(found)(taken)  # what a list or `split` gives stays whole
    if found is FAULT:
        return ctx.unknown()
    if found is NONE:
        message, help = f"`{stage.path}` is none here", "hand over `identity` where nothing is to be done"
        ctx.report.error("none-as-stage", message, stage.span, "there is no flow to run", help=help)
        return ctx.unknown()
    ctx.report.error(
        "not-a-flow", f"`{stage.path}` is {_kind(found)}, which does nothing to what flows", stage.span, "not a stage"
    )
    return ctx.unknown()


def _run_open(flow: OpenFlow, stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """A flow under a name: its modules belong to the body where its `=` stands, whoever runs it."""
    inside = ctx.opening(str(stage.path), flow, stage.span)
    if inside is None:
        return ctx.unknown()
    if not ctx.has_room(flow.flow, stage.span):
        return ctx.unknown()
    flowing = run(flow.flow, x, inside.within(env=flow.env, opened=flow, site=None, hint=None, inside=None))
    copies = _copies_around(ctx.unit, flow.unit)
    if (flow.made or flow.has_unmade) and copies is not None:
        name = stage.path.parts[0]
        above = () if copies.line == stage.span.line else ((copies, "its copies"),)
        ctx.report.error(
            "shared-by-accident",
            f"`{name}` makes its modules once, outside this repeat: all copies would share their weights",
            stage.span,
            "one set of weights for all copies",
            labels=((flow.flow.span, "made here"), *above),
            help=f"move `{name} = ...` into the repeat; or say that it is shared, with a label: `{name}: ...`",
        )
        return ctx.unknown()
    return flowing


def _copies_around(unit: UnitDraft, owner: UnitDraft) -> Span | None:
    """The innermost repeat that lies between a unit and one around it."""
    while unit is not owner:
        if unit.kind == "copy":
            return unit.span
        assert unit.parent is not None
        unit = unit.parent
    return None


def _kind(found: object) -> str:
    return "true or false" if isinstance(found, bool) else "text" if isinstance(found, str) else "a list"


def run_recipe(recipe: Recipe, x: Value, ctx: Context) -> Flowing:
    """A flow that was handed over: its modules are made here, its names looked up where it was written."""
    if not ctx.has_room(recipe.flow, recipe.flow.span):
        written_names.check_names(recipe.flow, ctx.within(env=env_of(recipe)))
        return ctx.unknown()
    return run(recipe.flow, x, ctx.within(env=env_of(recipe), opened=None))


def _dotted(stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    """`blocks.0.attn`: a module inside a labelled one, once more."""
    head = stage.path.parts[0]
    label = ctx.env.label(head)
    if label is not None and stage.args is None and stage.body is None:
        return reuse.run_label(label, stage, x, ctx)
    if label is not None:
        ctx.report.error(
            "not-a-flow",
            f"`{stage.path}` is a module that is there already, with the options it was made with",
            stage.span,
            "made already",
            help=f"write `{stage.path}`",
            fixes=(Fix(stage.span, str(stage.path)),),
        )
        return ctx.unknown()
    if isinstance(ctx.env.lookup(head), Value) and "[" in stage.path.span.text:
        message, label = f"`{head}` is a value, and a value has no index", f"`{head}` flows"
        help = "`split(n) as a, b` takes it apart, `first` and `last` are the ends of axis 1"
        ctx.report.error("foreign-index", message, stage.path.span, label, help=help)
    elif not foreign.report_foreign(stage, ctx):
        ctx.report.unknown("label", head, stage.path.span, ctx.env.labels_in_sight())
    return ctx.unknown()


def _label(label: tree.Label, x: Value | None, ctx: Context) -> Flowing:
    """`name: stage` names one module; a body, or a flow of several modules, becomes a group of that name."""
    ctx = lines.enter_label(label, ctx)
    target = label.target
    if isinstance(target, tree.Stage) and not _makes_group(target, ctx):
        before = len(ctx.owner.modules)
        flowing = run(target, x, ctx.within(hint=label.name.text, site=ctx.place(label.span)))
        name = ctx.full_name(label.name.text)
        found = ctx.owner.find(name)
        if found is not None and not blocks.holds_modules(found):
            unmade = any(one.startswith(f"{name}.") for one in ctx.owner.unmade)
            if not unmade and not blocks.could_hold_modules(target.body or target, ctx):
                _report_no_module(label, target, ctx)
        if (
            found is not None
            or ctx.made_before(target) is not None
            or name in ctx.owner.unmade
            or target.path.parts == ("repeat",)  # no copies: the identity
        ):
            return flowing
        known = not _is_unknown(flowing)
        if len(ctx.owner.modules) == before and (known or _has_no_module(target, ctx)):
            _report_no_module(label, target, ctx)
        ctx.leave_unmade(name)
        return flowing
    body = target if isinstance(target, tree.Body) else tree.Body((target,), span=target.span)
    return blocks.run_group(label, body, x, ctx)


def _report_no_module(label: tree.Label, target: tree.Stage, ctx: Context) -> None:
    text = target.span.text
    if target.body is not None:
        text = f"{text[: target.body.span.start - target.span.start]}{{ ... }}"
    ctx.report.error(
        "label-without-module",
        f"`{target.path}` has no module that a label could name",
        label.name.span,
        "names nothing",
        help=f"write `{text} as {label.name.text}` to name the value that flows out",
    )


def _is_unknown(flowing: Flowing) -> bool:
    values = flowing if isinstance(flowing, tuple) else (flowing,)
    return any(isinstance(value, Value) and value.type is UNKNOWN for value in values)


def _has_no_module(stage: tree.Stage, ctx: Context) -> bool:
    """Whether a stage whose shape is unknown can be told to make no module: it was read, and left none unmade."""
    word, file = stage.path.parts[0], ctx.env.file
    if len(stage.path.parts) > 1:
        return False
    if stage.args is None and stage.body is None:
        found = ctx.env.lookup(word)
        if found is not None or ctx.env.label(word) is not None:
            return isinstance(found, Value)
    if word in file.blocks or word in file.models or word in _COMBINATORS:
        return False
    return word == "identity" or file.layer(word) is not None or word in MATHS or word in file.functions


def _makes_group(stage: tree.Stage, ctx: Context) -> bool:
    """Whether a labelled stage is a flow of several modules: a residual, or a recipe that is more than one call."""
    if stage.path.parts[0] in ("residual", "share", "dense", "checkpoint"):
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
        written_names.check_names((then, otherwise), ctx)  # what is named there is used
        return ctx.unknown()
    chosen, other = (then, otherwise) if picked else (otherwise, then)
    written_names.check_names(other, ctx)
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
        case tree.Stage(path=path, args=args, body=None) if path.parts[0] in MATHS and args:
            return any(names_flow(arg, ctx) for arg in args)
    return True


def _run_momentum_copy(*given: object) -> Flowing:
    from . import momentum  # few models have one

    return momentum.run_momentum_copy(*given)  # type: ignore[arg-type]  # as the table calls it


_COMBINATORS: dict[str, Callable[[tree.Stage, Value, Context], Flowing]] = {
    "residual": residuals.run_residual,
    "repeat": repeating.run_repeat,
    "share": combinators.run_share,
    "dense": combinators.run_dense,
    "checkpoint": combinators.run_checkpoint,
    "experts": experts.run_experts,
    "momentum_copy": _run_momentum_copy,
    "project": combinators.refuse_project,
}
