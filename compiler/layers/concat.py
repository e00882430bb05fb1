"""concat: values one behind the other along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import equal, total, written
from ..semantics.tensor import Tensor
from .axes import find_axis
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept
from .options import AxisOrNone, SideInputs
from .side import Side

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Concat(Layer):
    """`concat(a, b, axis = 1)`: what flows, then the values given, one behind the other along an axis.

    The axis is the channel axis where none is given: 1 at rank 4 and 5, else the last.
    """

    word: ClassVar[str] = "concat"
    example: ClassVar[str] = "concat(left, axis = 1)"
    example_sides: ClassVar[dict[str, str]] = {"left": "[B, 4, 16]"}
    variadic: ClassVar[str | None] = "others"

    others: SideInputs = ()
    axis: AxisOrNone = None

    def place(self, x: Tensor) -> int:
        return x.channel_axis if self.axis is None else find_axis(self.word, self.axis, x)

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        axis = self.place(x)
        for other in self.others:
            _check_beside(x, other, axis)
        return (x.with_dim(axis, total([x.dims[axis], *(other.type.dims[axis] for other in self.others)])),)

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(parts=True)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"torch.cat([{', '.join([x, *map(str, self.others)])}], {self.place(x_type)})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        return (g.op("Concat", [x, *map(g.side, self.others)], type_, name, axis=self.place(x_type)),)


def _check_beside(x: Tensor, other: Side, axis: int) -> None:
    y = other.type
    alike = x.rank == y.rank and x.dtype == y.dtype
    differing = [a for a in range(x.rank) if alike and a != axis and not equal(x.dims[a], y.dims[a])]
    if alike and not differing:
        return
    on = "".join(f": {written(x.dims[a])} and {written(y.dims[a])} on axis {a}" for a in differing[:1])
    raise ShapeFault(
        f"concat along axis {axis} takes values that are alike on all other axes, and {x} meets {y}{on}",
        "make them alike, or name the axis along which they differ with `axis`",
        "others",
    )
