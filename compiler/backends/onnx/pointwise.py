"""Pointwise operators with PyTorch's results: `//` rounds down, and `%` has the sign of the divisor."""

from __future__ import annotations

from ...ir.graph import Pointwise
from ...semantics.arithmetic import COMPARISONS, MATHS
from ...semantics.number import Number, is_whole, real, whole
from ...semantics.tensor import DType, Tensor
from .builder import DTYPES, OnnxBuilder, OnnxValue

_ARITHMETIC = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "^": "Pow"}
_COMPARISON = {"==": "Equal", "<": "Less", "<=": "LessOrEqual", ">": "Greater", ">=": "GreaterOrEqual"}
_OF_ONE = {
    "sqrt": "Sqrt",
    "exp": "Exp",
    "log": "Log",
    "sin": "Sin",
    "cos": "Cos",
    "abs": "Abs",
    "floor": "Floor",
    "ceil": "Ceil",
}
_WIDEST: tuple[DType, ...] = ("float", "int", "bool")


def pointwise(
    g: OnnxBuilder, op: Pointwise, inputs: list[OnnxValue], types: list[Tensor], type: Tensor, name: str
) -> OnnxValue:
    """`left operator right`, or the operator before what flows; `type` is that of the result."""
    if op.operator == "neg":
        return g.op("Neg", inputs, type, name)
    if op.operator in MATHS:
        return _function(g, op, inputs, types, type, name)
    sides = _Sides(g, op, inputs, types, name)
    if op.operator in COMPARISONS:
        # Only equality is defined on truth values; the others compare them as 0 and 1.
        dtype = sides.dtype if sides.dtype != "bool" or op.operator in ("==", "!=") else "int"
        left, right = sides.cast(dtype)
        if op.operator == "!=":
            return g.op("Not", [g.op("Equal", [left, right], type, f"{name}.equal")], type, name)
        return g.op(_COMPARISON[op.operator], [left, right], type, name)
    dtype = "float" if op.operator == "/" else "int" if sides.dtype == "bool" else sides.dtype
    left, right = sides.cast(dtype)
    found = Tensor(dtype, type.dims)
    last = name if dtype == type.dtype else f"{name}.{dtype}"
    if op.operator in ("//", "%"):
        rest = _remainder(g, left, right, found, last if op.operator == "%" else f"{name}.rest")
        value = rest if op.operator == "%" else _quotient(g, left, right, rest, found, last)
    else:
        value = g.op(_ARITHMETIC[op.operator], [left, right], found, last)
    return value if dtype == type.dtype else g.op("Cast", [value], type, name, to=int(DTYPES[type.dtype]))


def _function(
    g: OnnxBuilder, op: Pointwise, inputs: list[OnnxValue], types: list[Tensor], type: Tensor, name: str
) -> OnnxValue:
    if op.operator in _OF_ONE:
        x, x_type = inputs[0], types[0]
        if x_type.dtype != type.dtype:  # whole numbers have a square root that is none
            x = g.op("Cast", [x], type, f"{name}.float", to=int(DTYPES[type.dtype]))
        if type.dtype != "float" and op.operator in ("floor", "ceil"):
            return x
        return g.op(_OF_ONE[op.operator], [x], type, name)
    sides = _Sides(g, op, inputs, types, name)
    left, right = sides.cast(type.dtype)
    if op.operator in ("min", "max"):
        return g.op("Min" if op.operator == "min" else "Max", [left, right], type, name)
    if type.dtype == "float":
        steps = g.op("Ceil", [g.op("Div", [left, right], type, f"{name}.quotient")], type, f"{name}.steps")
        return g.op("Mul", [steps, right], type, name)
    up = g.op("Add", [left, g.op("Sub", [right, g.scalar(1)], type, f"{name}.rest")], type, f"{name}.up")
    whole_steps = g.op("Div", [up, right], type, f"{name}.whole")
    return g.op("Mul", [whole_steps, right], type, name)


def _remainder(g: OnnxBuilder, left: OnnxValue, right: OnnxValue, type: Tensor, name: str) -> OnnxValue:
    """The remainder that has the sign of the divisor. ONNX has it for whole numbers; for floats only that of C."""
    if type.dtype == "int":
        return g.op("Mod", [left, right], type, name)
    rest = g.op("Mod", [left, right], type, f"{name}.mod", fmod=1)
    sign = g.op("Mul", [g.op("Sign", [rest], type, f"{name}.sign"), right], type, f"{name}.side")
    other_side = g.op("Less", [sign, g.number(0)], Tensor("bool", type.dims), f"{name}.other_side")
    moved = g.op("Add", [rest, right], type, f"{name}.moved")
    return g.op("Where", [other_side, moved, rest], type, name)


def _quotient(g: OnnxBuilder, left: OnnxValue, right: OnnxValue, rest: OnnxValue, type: Tensor, name: str) -> OnnxValue:
    divided = g.op("Sub", [left, rest], type, f"{name}.whole")
    if type.dtype == "int":
        return g.op("Div", [divided, right], type, name)
    # What is left after the remainder is a multiple of the divisor, but for the rounding of the subtraction.
    return g.op("Round", [g.op("Div", [divided, right], type, f"{name}.quotient")], type, name)


class _Sides:
    """The two sides of an operator; `dtype` is what both fit in."""

    def __init__(self, g: OnnxBuilder, op: Pointwise, inputs: list[OnnxValue], types: list[Tensor], name: str) -> None:
        self._g = g
        self._name = name
        flowing = iter(zip(inputs, types, strict=True))
        self._sides = [next(flowing) if side is None else side for side in (op.left, op.right)]
        found = [side[1].dtype if isinstance(side, tuple) else _dtype(side) for side in self._sides]
        self.dtype: DType = next(dtype for dtype in _WIDEST if dtype in found)

    def cast(self, dtype: DType) -> list[OnnxValue]:
        return [self._side(side, dtype, label) for side, label in zip(self._sides, ("left", "right"), strict=True)]

    def _side(self, side: Number | tuple[OnnxValue, Tensor], dtype: DType, label: str) -> OnnxValue:
        if not isinstance(side, tuple):
            return self._g.number(real(side)) if dtype == "float" else self._g.scalar(whole(side))
        value, type = side
        if type.dtype == dtype:
            return value
        return self._g.op("Cast", [value], Tensor(dtype, type.dims), f"{self._name}.{label}", to=int(DTYPES[dtype]))


def _dtype(n: Number) -> DType:
    return "int" if is_whole(n) else "float"
