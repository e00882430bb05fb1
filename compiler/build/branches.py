"""`[f, g, h]`: several flows on one value. Their results flow on whole, into `concat` or into names."""

from __future__ import annotations

from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..ir.graph import Value
from ..semantics.tensor import Tensor
from . import flows, placing
from .context import Branches, Context, Flowing


def run_branches(flow: tree.List, entries: Sequence[tree.Flow | tree.Entry], x: Value | None, ctx: Context) -> Flowing:
    """Each entry on `x`, in the order of the list."""
    found: list[Value] = []
    for entry in entries:
        if isinstance(entry, tree.Entry):
            ctx.report.error(
                "wrong-value",
                "a branch has no name in a list",
                entry.path.span,
                "a name",
                help="write `[...] as a, b` behind the list, or a label before the branch: `a: ...`",
            )
            found.append(ctx.unknown())
            continue
        found.append(flows.first(flows.run(entry, x, ctx), ctx, entry))
    if not found:
        ctx.report.error(
            "empty-list", "a list of branches has at least one", flow.span, "nothing in it", help="[identity, ...]"
        )
        return ctx.unknown()
    return Branches(found)


def run_on_branches(flow: tree.Flow, before: Branches, ctx: Context) -> Flowing:
    """What a list or `split` gives goes into `concat` whole; anything else would lose all but the first."""
    head = flow.stages[0] if isinstance(flow, tree.Then) else flow
    if isinstance(head, tree.Stage) and head.path.parts == ("concat",):
        flowing: Flowing = placing.run_concat(head, before, ctx)
        for stage in flow.stages[1:] if isinstance(flow, tree.Then) else ():
            flowing = flows.run_on(stage, flowing, ctx)
        return flowing
    if before.would_lose:
        message = f"{len(before)} values flow in, and this takes one"
        help = "join them with `concat`, or name them first: `as a, b`"
        ctx.report.error("lost-value", message, head.span, _lost(before), help=help)
        return flows.run(flow, ctx.unknown(), ctx)
    return flows.run(flow, before[0], ctx)


def report_lost(values: Branches, node: tree.Node, ctx: Context, *, is_stage: bool) -> None:
    """Refuse what `node` gives where one value is expected. Behind a stage another may stand, to join the values."""
    names = ", ".join(["a", "b", "c", "d"][: len(values)]) if len(values) <= 4 else "a, b, ..."
    type_ = values[0].type
    axis = 1 if isinstance(type_, Tensor) and type_.channel_axis < type_.rank - 1 else -1
    join = f"-> concat(axis = {axis})"
    end = Span(node.span.source, node.span.end, node.span.end)
    ctx.report.error(
        "lost-value",
        f"{len(values)} values flow out here, and one is expected",
        node.span,
        _lost(values),
        help=f"join them, `{join}`, or name them, `as {names}`, and go on with one",
        fixes=(Fix(end, f" {join}"),) if is_stage else (),
    )


def _lost(values: Branches) -> str:
    return f"{len(values) - 1} of them would be lost" if len(values) > 2 else "the second would be lost"
