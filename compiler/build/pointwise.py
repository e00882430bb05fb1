"""`a + b`, `2 * a`, `a > 0`, `-a`: both sides of an operator combined entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...grammar import tree
from ..ir.graph import Pointwise, Value
from ..semantics.arithmetic import COMPARISONS
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.number import Number
from ..semantics.tensor import DType, Tensor, TypeFault, broadcast
from .context import Context, Flowing

_NOT_OF_TRUTH = frozenset({"-", "neg", "//", "%", "^"})
"""What PyTorch does not do to truth values; sums and products of them are `or` and `and`."""

_FLOAT = frozenset({"sqrt", "exp", "log", "sin", "cos"})


def combine(
    operator: str, left: Value | Number, right: Value | Number | None, node: tree.Flow, ctx: Context
) -> Flowing:
    """Place `left operator right`, or `neg` of `left`; two numbers stay a number."""
    if not isinstance(left, Value) and not isinstance(right, Value):
        return _constant(node, ctx)
    return apply(operator, left, right, node, ctx)


def apply(operator: str, left: Value | Number, right: Value | Number | None, node: tree.Flow, ctx: Context) -> Value:
    """Place an operator or mathematical function on what flows; a shape that does not fit is reported."""
    sides = [left] if right is None else [left, right]
    values = tuple(side for side in sides if isinstance(side, Value))
    ctx.unit.consumed.update(map(ctx.unit.take, values))
    tensors = [value.type for value in values if isinstance(value.type, Tensor)]
    if len(tensors) < len(values):
        return ctx.unknown()
    type_ = tensors[0]
    if len(tensors) == 2:
        try:
            type_ = broadcast(tensors[0], tensors[1])
        except TypeFault as fault:
            _do_not_fit(operator, tensors, fault, node, ctx)
            return ctx.unknown()
    left_number = None if isinstance(left, Value) else left
    right_number = None if isinstance(right, Value) else right
    if not _has_value(operator, tensors, right_number, node, ctx):
        return ctx.unknown()
    dtype = _result(operator, type_, sides)
    op = Pointwise(operator, left_number, right_number)
    return ctx.emit(op, values, (replace(type_, dtype=dtype),), node.span)[0]


def _result(operator: str, type_: Tensor, sides: Sequence[Value | Number]) -> DType:
    """What kind of numbers an operator gives, as PyTorch has it."""
    if operator in COMPARISONS:
        return "bool"
    numbers = any(not isinstance(side, Value) for side in sides)
    if operator == "/" or operator in _FLOAT or (numbers and _makes_float(sides)):
        return "float"
    # A truth value and a number make a number.
    return "int" if type_.dtype == "bool" and numbers else type_.dtype


def _do_not_fit(operator: str, tensors: Sequence[Tensor], fault: TypeFault, node: tree.Flow, ctx: Context) -> None:
    sides: tuple[tree.Node, ...] = ()
    match node:
        case tree.Binary(left=left, right=right):
            sides = (left, right)
        case tree.Stage(args=args) if args is not None and len(args) == 2:
            sides = args
    labels = [(side.span, f"this side is {type_}") for side, type_ in zip(sides, tensors, strict=False)]
    ctx.report.error(
        "shape-mismatch",
        f"the two sides of `{operator}` do not fit: {fault}",
        node.span,
        "these do not go together",
        labels=tuple(labels),
        help="make the two sides end in the same shape; a dim stretches only where it is written as 1",
    )


def _constant(node: tree.Flow, ctx: Context) -> Flowing:
    value = evaluate(node, ctx.env, ctx.report)
    if is_number(value):
        return value
    if value is not FAULT:
        what = "is true or false" if isinstance(value, bool) else "is no number"
        message = f"`{node.span.text}` {what}, and nothing that flows can be made of it"
        ctx.report.error("not-a-flow", message, node.span, "no number, and no flow")
    return ctx.unknown()


def _has_value(operator: str, tensors: list[Tensor], right: Number | None, node: tree.Flow, ctx: Context) -> bool:
    """Whether PyTorch has a result for these sides whatever flows in; else it is reported."""
    sign = "-" if operator == "neg" else operator
    truth = next((t for t in tensors if t.dtype == "bool"), None)
    if truth is not None and operator in _NOT_OF_TRUTH:
        ctx.report.error(
            "wrong-value",
            f"`{sign}` does not take true and false, and {truth} comes in",
            node.span,
            "no numbers to reckon with",
            help="multiply it by 1 first: that makes it 0 and 1",
        )
        return False
    if right is None or right.value is None:
        return True
    if operator in ("/", "//", "%") and right.value == 0:
        message = "this cannot be worked out: a division by zero"
        ctx.report.error("no-value", message, node.span, "divides by zero")
        return False
    whole = all(t.dtype == "int" for t in tensors)
    if operator == "^" and whole and right.value < 0 and right.value == int(right.value):
        message = f"a negative power of whole numbers is no whole number, and {tensors[0]} comes in"
        ctx.report.error("wrong-value", message, node.span, "no whole number", help="write `1 / (... ^ 2)`")
        return False
    return True


def _makes_float(sides: Sequence[Value | Number]) -> bool:
    return any(not isinstance(s, Value) and s.value is not None and s.value != int(s.value) for s in sides)
