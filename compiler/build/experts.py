"""`experts(n, top = 2) { f }`: each token goes through the best of n copies, which a learned router picks.

After Shazeer et al. 2017 (sparsely gated experts) and Fedus et al. 2022 (the balance loss).
"""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import Experts, LayerModule, RunExperts, Value
from ..layers import registry
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.number import Number, Reference, number, whole
from ..semantics.tensor import Tensor, seen_outside
from . import flows, lines
from .arguments import given_arguments, show_value
from .combinators import body_of, count_of
from .context import Context, Flowing, called
from .defaults import EXPERTS_OPTIONS
from .draft import UnitDraft, labels_in
from .env import Env
from .leftovers import check_left, check_unused
from .signatures import wrap_unsigned
from .unfolding import MOST_UNITS
from .written_names import check_names

_EXAMPLE = "experts(8, top = 2) { ... }"


def run_experts(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """Place the router and the copies. Inside, a token is a row: [tokens, D]."""
    given = given_arguments(stage, EXPERTS_OPTIONS, ctx.report)
    body = body_of(stage, "experts makes copies of its body", _EXAMPLE, ctx)
    if body is None:
        return ctx.unknown()
    if given is None:
        lines.run_unplaced(body, ctx)
        return ctx.unknown()
    count = count_of("n", given, stage, ctx)
    top = count_of("top", given, stage, ctx) if "top" in given else number(2)
    balance: Number | None = number(0.01)
    if "balance" in given:
        balance = _balance(evaluate(given["balance"].flow, ctx.env, ctx.report), given["balance"].flow, ctx)
    if count is None or top is None or balance is None:
        lines.run_unplaced(body, ctx)
        return ctx.unknown()
    if whole(top) > whole(count):
        label = f"of {whole(count)} experts"
        place = given["top"].flow.span if "top" in given else stage.span
        message = f"a token goes through {whole(top)} experts, and there are {whole(count)}"
        ctx.report.error("wrong-value", message, place, label, help=f"write `top = {whole(count)}`")
    if whole(top) > whole(count) or not isinstance(x.type, Tensor):
        lines.run_unplaced(body, ctx)
        return ctx.unknown()
    if whole(count) > MOST_UNITS or not ctx.has_room(body, called(stage)):
        ctx.unit.unfolding.check_units(whole(count), called(stage), ctx.report)
        check_names(body, ctx)
        return ctx.unknown()
    width = x.type.dims[-1]
    if x.type.rank < 2 or x.type.dtype != "float" or width.value is None:
        ctx.report.error(
            "shape-mismatch",
            f"experts takes vectors of known width, [..., D], and {x.type} comes in",
            stage.path.span,
            f"{x.type} comes in",
            help="the router is a matrix over the last axis",
        )
        return ctx.unknown()
    entering_type = x.type
    x = ctx.unit.take(x)
    name = ctx.module_name("experts")
    tokens = Tensor("float", (Reference("tokens", "open", stage.span), width))
    draft = UnitDraft("copy", name, stage.span, ctx.owner, labels_in(body), scope=stage.span)
    entering = draft.own(Value(wrap_unsigned(ctx.outward(tokens), draft.scope)))
    draft.inputs.append(entering)
    env = Env(ctx.env, ctx.env.file)
    inner = ctx.within(unit=draft, env=env, nodes=[], hint=None, site=None, opened=None, depth=None, inside=None)
    result = flows.first(lines.run_lines(body, entering, inner), inner, body)
    check_left(draft, (result,), ctx.report)
    check_unused(inner)
    if not isinstance(result.type, Tensor):
        ctx.leave_unmade(name)
        return ctx.unknown()
    out = seen_outside(result.type, draft.scope)
    assert isinstance(out, Tensor)
    if out.rank != 2 or draft.captured:
        what = f"the body ends in {out}" if out.rank != 2 else "the body takes a value from around it"
        ctx.report.error(
            "shape-mismatch",
            f"an expert maps rows, [tokens, D] -> [tokens, E], and {what}",
            stage.path.span,
            what,
            help="an expert sees the tokens sent to it, in no order: keep to layers that act on the last axis",
        )
        return ctx.unknown()
    unit = draft.close((result,), inner.nodes)
    layer = registry.get("Linear")(features=count, bias=False)
    own = ctx.outward(entering_type)
    assert isinstance(own, Tensor)
    router = LayerModule("router", layer, (own,), stage.span)
    experts = Experts(name, count, top, balance, router, (unit,) * whole(count), stage.span)
    local = ctx.make(experts, stage, ())
    return ctx.emit(RunExperts(), (x,), (entering_type.with_last(out.dims[-1]),), stage.span, local)[0]


def _balance(value: object, flow: tree.Flow, ctx: Context) -> Number | None:
    if is_number(value) and value.value is not None and value.value >= 0:
        return value
    if value is not FAULT:
        message = "`balance` of experts takes a number of at least 0, the weight of the loss that keeps the router even"
        ctx.report.error("wrong-value", message, flow.span, f"this is {show_value(value)}", help="`balance = 0.01`")
    return None
