"""adaptive_avg_pool: means of as many windows as are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, number, whole
from ..semantics.tensor import Tensor
from .base import Code, Layer
from .options import PerAxis
from .sliding import check_picture, per_axis, spelled_out

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class AdaptiveAvgPool(Layer):
    """`adaptive_avg_pool(size)`: the means of `size` windows along each axis, whatever its length.

    [B, C, H, W] -> [B, C, size, size], and likewise [B, C, T] and [B, C, D, H, W]. Window i of n along a length L
    begins at `floor(i * L / n)` and ends before `ceil((i + 1) * L / n)`. `size` is a number or a list, one an axis.
    """

    word: ClassVar[str] = "adaptive_avg_pool"
    example: ClassVar[str] = "adaptive_avg_pool(4)"
    example_input: ClassVar[str] = "[B, 8, H, W]"

    size: PerAxis

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return (Tensor("float", (*x.dims[:2], *self._sizes(x)), x.axes),)

    def _sizes(self, x: Tensor) -> tuple[Number, ...]:
        return per_axis(self.word, "size", self.size, check_picture(self.word, x))

    def keeps_places(self, x: Tensor) -> bool:
        return True

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.adaptive_avg_pool{x_type.rank - 2}d({x}, {spelled_out(self.size, code.number)})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        """A product with a matrix of weights along each axis: no operator pools to a size where the length is open."""
        (type_,) = self.infer(x_type)
        if all(size.value == 1 for size in type_.dims[2:]):
            return (g.op("GlobalAveragePool", [x], type_, name),)
        for axis in range(x_type.rank - 1, 1, -1):
            weights = _weights(g, x, x_type, axis, type_.dims[axis], f"{name}.{axis}")
            pooled = x_type.with_dim(axis, type_.dims[axis])
            x = _along(g, x, x_type, axis, weights, pooled, f"{name}.{axis}")
            x_type = pooled
        return (x,)


def _along(
    g: OnnxBuilder, x: OnnxValue, x_type: Tensor, axis: int, weights: OnnxValue, pooled: Tensor, name: str
) -> OnnxValue:
    """x W, the axis that is pooled being the last meanwhile."""
    last = x_type.rank - 1
    if axis == last:
        return g.op("MatMul", [x, weights], pooled, f"{name}.pooled")
    order = [a for a in range(x_type.rank) if a != axis] + [axis]
    back = [*range(axis), last, *range(axis, last)]

    def turned(type_: Tensor) -> Tensor:
        return Tensor("float", tuple(type_.dims[a] for a in order))

    x = g.op("Transpose", [x], turned(x_type), f"{name}.last", perm=order)
    x = g.op("MatMul", [x, weights], turned(pooled), f"{name}.mean")
    return g.op("Transpose", [x], pooled, f"{name}.pooled", perm=back)


def _weights(g: OnnxBuilder, x: OnnxValue, x_type: Tensor, axis: int, size: Number, name: str) -> OnnxValue:
    """[L, size]: one over a window's length where an entry lies in it, else 0."""
    length = g.length(x, x_type, axis)
    one = number(1)
    count = whole(size)
    index = g.wholes(range(count))
    following = g.wholes(range(1, count + 1))

    def op(kind: str, inputs: list[OnnxValue], dims: tuple[Number, ...], part: str, dtype: str = "int") -> OnnxValue:
        return g.op(kind, inputs, Tensor(dtype, dims), f"{name}.{part}")  # type: ignore[arg-type]

    begin = op("Div", [op("Mul", [index, length], (size,), "begins"), g.whole(count)], (size,), "begin")
    # ceil(a / b) is (a + b - 1) // b.
    ends = op("Add", [op("Mul", [following, length], (size,), "ends"), g.whole(count - 1)], (size,), "ends.up")
    end = op("Div", [ends, g.whole(count)], (size,), "end")
    scalar = op("Squeeze", [length], (), "length")
    row = op("Range", [g.scalar(0), scalar, g.scalar(1)], (x_type.dims[axis],), "positions")
    column = op("Unsqueeze", [row, g.wholes([1])], (x_type.dims[axis], one), "column")
    matrix = (x_type.dims[axis], size)
    begun = op("GreaterOrEqual", [column, begin], matrix, "begun", "bool")
    unended = op("Less", [column, end], matrix, "unended", "bool")
    inside = op("And", [begun, unended], matrix, "inside", "bool")
    width = g.op(
        "Cast", [op("Sub", [end, begin], (size,), "width")], Tensor("float", (size,)), f"{name}.width.float", to=1
    )
    return op(
        "Div",
        [g.op("Cast", [inside], Tensor("float", matrix), f"{name}.inside.float", to=1), width],
        matrix,
        "weights",
        "float",
    )
