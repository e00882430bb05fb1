"""`residual(pre =, out =, post =, drop =) { f }`: y = post(x + drop(out(f(pre(x)))))."""

from __future__ import annotations

from typing import Any

from ...grammar import tree
from ...grammar.source import Span
from ..ir.graph import Apply, LayerModule, Region, Residual, Value
from ..layers.dropout import Dropout
from ..semantics.evaluate import FAULT, Recipe, evaluate, is_number
from ..semantics.tensor import Tensor, same
from . import flows, lines
from .arguments import Written, given_arguments, show_value
from .context import Context, Flowing
from .defaults import RESIDUAL_OPTIONS, defaults_for
from .env import Env, env_of
from .later import check_names

NORMS = ("pre", "out", "post")
LATER = ("skip", "scale", "gain", "layer_scale", "gate", "drop_path")


def run_residual(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """Place a residual: the branch is a region of the unit it stands in, and adds no level to the checkpoint."""
    parts = _parts(stage, ctx)
    if stage.body is None:
        ctx.report.error(
            "missing-body", "residual adds what its body makes of a value to that value", stage.span, "has no body",
            help="write `residual { ... }`",
        )  # fmt: skip
        return ctx.unknown()
    if parts is None:
        # The body is still looked at, so that its own faults are told in the same run.
        lines.run_body(stage.body, ctx.unknown(), ctx.within(nodes=[], hint=None))
        return ctx.unknown()
    base = _label_of(stage.body)
    x = ctx.unit.take(x)
    entering = ctx.unit.own(Value(x.type))
    inner = ctx.within(nodes=[], hint=None)
    start, end = ctx.place(stage.span), stage.body.span.end if ctx.site is None else ctx.site
    h = _norm("pre", parts, base, entering, inner.within(site=start))
    h = flows.first(lines.run_body(stage.body, h, inner), inner, stage.body)
    h = _norm("out", parts, base, h, inner.within(site=end))
    h = _drop(parts.get("drop"), base, h, stage.span, inner.within(site=end))
    if not isinstance(h.type, Tensor) or not isinstance(x.type, Tensor):
        return ctx.unknown()
    if not same(h.type, x.type):
        ctx.report.error(
            "shape-mismatch",
            f"the two branches of a residual must end in one shape: {x.type} comes in, {h.type} comes out of the body",
            stage.path.span,
            f"{x.type} + {h.type}",
            labels=(
                (stage.body.lines[-1].span if stage.body.lines else stage.body.span, f"the body ends in {h.type}"),
            ),
            help="let the body end as wide as what comes in",
        )
        return ctx.unknown()
    ctx.unit.consumed.add(h)
    after = None
    if parts.get("post") is not None:
        summed = ctx.unit.own(Value(x.type))
        behind = ctx.within(nodes=[], hint=None, site=end)
        y = _norm("post", parts, base, summed, behind)
        after = Region(summed, tuple(behind.nodes), y)
        ctx.unit.consumed.add(y)
        if not isinstance(y.type, Tensor):
            return ctx.unknown()
    branch = Region(entering, tuple(inner.nodes), h)
    out_type = after.output.type if after else x.type
    return ctx.emit(Residual(branch, after), (x,), (out_type,), stage.span)[0]


def _parts(stage: tree.Stage, ctx: Context) -> dict[str, Any] | None:
    """Option -> recipe or number, the call's own before the defaults'; None where one is wrong (reported)."""
    given = given_arguments(stage, RESIDUAL_OPTIONS, ctx.report) if _all_named(stage, ctx) else None
    if given is None:
        return None
    parts: dict[str, Any] = {}
    put_off = False
    options: dict[str, Written] = {**defaults_for("residual", stage, ctx.env), **given}
    for name in LATER:
        option = options.pop(name, None)
        if option is not None and not isinstance(option.flow, tree.Nothing):
            ctx.report.later(f"the option `{name}` of `residual`", option.place)
            check_names(option.flow, ctx)
            put_off = True
    for name, option in options.items():
        value = evaluate(option.flow, option.scope or ctx.env, ctx.report)
        if value is FAULT:
            return None
        if value is None:
            continue
        number = is_number(value) and value.value is not None and 0 <= value.value <= 1
        if name == "drop" and not number:
            _wrong(name, "a number from 0 to 1", value, option.flow.span, ctx)
            return None
        if name in NORMS and not isinstance(value, Recipe):
            _wrong(name, "a flow, such as `LayerNorm`", value, option.flow.span, ctx)
            return None
        parts[name] = value
    return None if put_off else parts


def _all_named(stage: tree.Stage, ctx: Context) -> bool:
    nameless = [arg for arg in stage.args or () if not isinstance(arg, tree.Keyword)]
    for arg in nameless:
        ctx.report.error(
            "option-by-position",
            "residual takes its options by name",
            arg.span,
            "which one is this?",
            help=f"write `residual(pre = {arg.span.text})` or `residual(post = {arg.span.text})`",
        )
    return not nameless


def _wrong(name: str, takes: str, value: object, span: Span, ctx: Context) -> None:
    ctx.report.error("wrong-value", f"`{name}` of residual takes {takes}", span, f"this is {show_value(value)}")


def _label_of(body: tree.Body) -> str | None:
    """The label of a body that is one labelled line: what the residual's own modules are called after."""
    if len(body.lines) == 1 and isinstance(body.lines[0], tree.Label):
        return body.lines[0].name.text
    return None


def _norm(part: str, parts: dict[str, Any], base: str | None, x: Value, ctx: Context) -> Value:
    """Run `pre`, `out` or `post`: `attn_norm`, the same wherever it is placed, `attn_pre_norm` if there are several."""
    recipe = parts.get(part)
    if recipe is None:
        return x
    several = sum(parts.get(name) is not None for name in NORMS) > 1
    stem = f"{part}_norm" if several else "norm"
    name = ctx.unit.free_name(f"{base}_{stem}" if base else stem)
    flow = recipe.flow
    if not isinstance(flow, tree.Stage):
        # Several modules lie a level deeper, under the name that one norm would have.
        flow = tree.Label(tree.Name(name, span=flow.span), tree.Body((flow,), span=flow.span), span=flow.span)
        inner = ctx.within(env=Env(env_of(recipe), ctx.env.file), opened=None)
        return flows.first(flows.run(flow, x, inner), ctx, flow)
    inner = ctx.within(hint=name)
    return flows.first(flows.run_recipe(recipe, x, inner), ctx, flow)


def _drop(p: Any, base: str | None, x: Value, span: Span, ctx: Context) -> Value:
    if p is None or not isinstance(x.type, Tensor):
        return x
    layer = Dropout(p=p)
    name = ctx.unit.free_name(f"{base}_drop" if base else "drop")
    ctx.unit.add(LayerModule(name, layer, (x.type,), span), ctx.place(span))
    return ctx.emit(Apply(layer), (x,), (x.type,), span, name)[0]
