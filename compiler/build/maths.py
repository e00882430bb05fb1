"""`sqrt(dim)`, `-> exp`, `max(identity, 0)`: mathematical functions of numbers and of what flows."""

from __future__ import annotations

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..ir.graph import Value
from ..semantics.arithmetic import NumberError, arguments_of
from ..semantics.number import Number, operation
from . import flows
from .context import Context, Flowing
from .pointwise import apply
from .written_names import check_names

_TWO = frozenset({"min", "max", "round_up"})


def run_maths(stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    """A function over its arguments, which are flows like the sides of `+`; bare, it is a stage."""
    word = stage.path.parts[0]
    if stage.body is not None:
        ctx.report.error("unexpected-body", f"`{word}` takes no braces", stage.body.span, "not a combinator")
    named = [arg for arg in stage.args or () if isinstance(arg, tree.Keyword)]
    for arg in named:
        ctx.report.error(
            "unknown-option",
            f"`{word}` takes its arguments in order, without names",
            arg.name.span,
            "a name",
            help=f"write `{arg.value.span.text}`",
            fixes=(Fix(arg.span, arg.value.span.text),),
        )
    flowing = [arg for arg in stage.args or () if not isinstance(arg, tree.Keyword)]
    if named:
        check_names(stage, ctx)  # what stands there is no less used
        return ctx.unknown()
    if stage.args is None:
        sides: list[Value | Number] = [flows.needed(x, stage, ctx)]
    else:
        sides = [flows.one(flows.run(arg, x, ctx), ctx, arg) for arg in flowing]
    ctx.unit.consumed.update(ctx.unit.take(side) for side in sides if isinstance(side, Value))
    if not _fits(word, len(sides), stage, ctx):
        return ctx.unknown()
    if all(not isinstance(side, Value) for side in sides):
        numbers = [side for side in sides if not isinstance(side, Value)]
        try:
            return operation(word, *numbers)
        except NumberError as error:
            ctx.report.error("no-value", f"this cannot be worked out: {error}", stage.span, str(error))
            return ctx.unknown()
    result = sides[0]
    if len(sides) == 1:
        return apply(word, result, None, stage, ctx)
    for side in sides[1:]:
        result = apply(word, result, side, stage, ctx)
    return result


def _fits(word: str, count: int, stage: tree.Stage, ctx: Context) -> bool:
    if word in ("min", "max") and count >= 2:
        return True
    if count == (2 if word in _TWO else 1):
        return True
    wanted, example = arguments_of(word)
    label = f"{count} here"
    ctx.report.error("wrong-arguments", f"`{word}` takes {wanted}", stage.span, label, help=f"such as `{example}`")
    return False
