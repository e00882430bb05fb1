"""What nothing uses is a mistake somewhere: names, and values that a line left behind."""

from __future__ import annotations

from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..ir.graph import Value
from ..semantics.report import Report, Unheard
from ..semantics.tensor import Tensor
from .circles import report_circles
from .context import Branches, Context, Flowing
from .draft import UnitDraft
from .env import OpenFlow
from .written_names import check_names


def check_unused(ctx: Context) -> None:
    """A value or flow that was given a name and never used is a mistake somewhere."""
    bound = ctx.env.bound
    flows = {name: given.what for name, given in bound.items() if isinstance(given.what, OpenFlow)}
    texts = {name: flow.flow for name, flow in flows.items()}
    for flow in [flows[name] for name, _ in ctx.env.unused() if name in flows]:
        # What stands in a flow that nothing runs is meant to be used there.
        check_names(flow.flow, ctx.within(env=flow.env, report=Unheard()))
    endless = report_circles(texts, lambda a, b: flows[a].env.bound_to(b) is bound[b], ctx.report) if texts else ()
    for name, given in ctx.env.unused():
        if name in endless:
            continue
        label = "given here, and never used"
        ctx.report.error("unused-name", f"nothing uses `{name}`", given.span, label, help="use it or take it out")


def check_left(draft: UnitDraft, outputs: tuple[Value, ...], report: Report) -> None:
    """A line that takes nothing leaves behind what flowed into it: something else must use that."""
    for value, line in draft.left:
        if value in draft.consumed or value in outputs or _may_be_used(value, draft):
            continue
        known = f", {value.type}," if isinstance(value.type, Tensor) else ""
        what = f"`{value.name}`" if value.name else f"the value before it{known}"
        report.error(
            "lost-value",
            f"{what} flows into this line, which does not take it, and nothing else uses it",
            line,
            "begins anew here",
            help="name the value with `as` on the line above and use it, or take those lines out",
        )


def check_last(flowing: Flowing, outputs: Sequence[Value], body: tree.Body, ctx: Context) -> None:
    """Where all outputs are named, what the last line makes must be one of them, or be used."""
    stages = [line for line in body.lines if not isinstance(line, tree.Binding | tree.Default | tree.Phase)]
    if not stages or isinstance(stages[-1], tree.Unread):
        return
    last = stages[-1]
    made = [value for value in (flowing if isinstance(flowing, tuple) else (flowing,)) if isinstance(value, Value)]
    kept = {*outputs}
    if isinstance(last, tree.Named):  # what names are not used is told there
        kept |= {*ctx.unit.consumed, *ctx.unit.inputs, *(value for value in made if value.name)}
    told = [value in kept or _may_be_used(value, ctx.unit) for value in made]
    whole = isinstance(flowing, Branches) and flowing.would_lose  # a list or `split`: no value of it is lost
    if not made or (all(told) if whole else any(told)):
        return
    lost = made[told.index(False)].type
    ctx.report.error(
        "lost-value",
        "the outputs are named above, and nothing uses what this line makes",
        last.span,
        f"{lost if isinstance(lost, Tensor) else 'what it makes'} is lost here",
        help="take the line out, or name the output behind it",
        fixes=(Fix(_with_indent(last.span), ""),),
    )


def _with_indent(line: Span) -> Span:
    """A line with what stands before it, as far as that is empty."""
    before = line.source.text[: line.start]
    return line.source.span(len(before.rstrip()), line.end)


def _may_be_used(value: Value, draft: UnitDraft) -> bool:
    """Whether a value of unknown shape has a name: what would use it may have an error, and then takes nothing."""
    return not isinstance(value.type, Tensor) and (value in draft.named or value in draft.inputs)
