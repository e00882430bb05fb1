"""The file's own functions as stages: `squared_relu`, `cap(limit = 30)`, `mix(a, b, 0.5)`."""

from __future__ import annotations

from dataclasses import replace

from ...grammar import tree
from ..ir.graph import Call, Value
from ..semantics.number import Number
from ..semantics.tensor import Tensor, TypeFault, broadcast
from . import flows
from .context import Context, Flowing
from .written_names import check_names


def run_function(written: tree.Function, stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    """Arguments are flows like the sides of `+`; bare, or with keywords only, the first is the running value."""
    from ..scalars import match_arguments  # most files have no functions

    function = ctx.env.file.scalars.find(written.name.text)
    if stage.body is not None:
        word = written.name.text
        ctx.report.error("unexpected-body", f"`{word}` takes no braces", stage.body.span, "a function, no combinator")
    if function is None:
        _leave_unread(stage, x, ctx)
        return ctx.unknown()
    as_stage = not any(not isinstance(arg, tree.Keyword) for arg in stage.args or ())
    first = [p.name for p in function.parameters[:1]] if as_stage else []
    given = match_arguments(
        stage,
        function.parameters,
        ctx.report,
        supplied=first,
        is_number=lambda argument: not flows.names_flow(argument, ctx),
    )
    if given is None:
        _leave_unread(stage, x, ctx)
        return ctx.unknown()
    sides: list[Value | Number] = []
    for parameter in function.parameters:
        if parameter.name in first:
            sides.append(flows.needed(x, stage, ctx))
        elif parameter.name in given:
            argument = given[parameter.name]
            sides.append(flows.one(flows.run(argument, x, ctx), ctx, argument))
        else:
            assert parameter.default is not None
            sides.append(parameter.default)
    values = [side for side in sides if isinstance(side, Value)]
    if not values:
        ctx.report.error(
            "number-as-stage",
            f"`{written.name}` of numbers is a number, and what came in is lost here",
            stage.span,
            "a constant, not a stage",
            help=f"write `{written.name}` for the value that flows",
        )
        return ctx.unknown()
    type_ = _joined(values, stage, ctx)
    if type_ is None:
        return ctx.unknown()
    arguments = tuple(None if isinstance(side, Value) else side for side in sides)
    return ctx.emit(Call(function, arguments), values, (type_,), stage.span)[0]


def _leave_unread(stage: tree.Stage, x: Value | None, ctx: Context) -> None:
    """Of a call that cannot be read, nobody knows whether it takes what runs; what stands in it is no less used."""
    check_names(stage, ctx)
    inputs = (arg for arg in stage.args or () if not isinstance(arg, tree.Keyword))
    if x is not None and not any(flows.names_flow(arg, ctx) for arg in inputs):
        ctx.unit.consumed.add(ctx.unit.take(x))


def _joined(values: list[Value], stage: tree.Stage, ctx: Context) -> Tensor | None:
    """The type of all arguments together; None where one is unknown, or they do not fit (reported)."""
    joined: Tensor | None = None
    for value in values:
        if not isinstance(value.type, Tensor):
            return None
        try:
            joined = value.type if joined is None else broadcast(joined, value.type)
        except TypeFault as fault:
            ctx.report.error(
                "shape-mismatch",
                f"the arguments of `{stage.path}` do not fit: {fault}",
                stage.span,
                f"{joined} and {value.type}",
                help="give it values of one shape; a dim stretches only where it is written as 1",
            )
            return None
    assert joined is not None
    return replace(joined, dtype="float")
