"""Combinators that add no level to the checkpoint: share, dense and checkpoint."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import Checkpoint, Loop, Region, Value
from ..semantics.number import Number
from ..semantics.tensor import Tensor, same
from . import flows, lines, placing
from .arguments import Given, given_arguments
from .context import Context, Flowing
from .counts import COUNTS, read_count
from .defaults import DENSE_OPTIONS, SHARE_OPTIONS


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
