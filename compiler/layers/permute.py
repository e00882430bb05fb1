"""permute: the axes in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .axes import find_axis
from .base import Code, Layer, ShapeFault
from .kept import Gives
from .options import Axes

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Permute(Layer):
    """`permute([0, 2, 1])`: the axes in another order, each by its position before, or by the name of its dim."""

    word: ClassVar[str] = "permute"
    example: ClassVar[str] = "permute([B, 2, 1])"
    gives: ClassVar[Gives] = "view"

    axes: Axes

    def order(self, x: Tensor) -> tuple[int, ...]:
        found = tuple(find_axis(self.word, axis, x, "axes") for axis in self.axes)
        if sorted(found) != list(range(x.rank)):
            raise ShapeFault(
                f"permute names {_listed(found) if found else 'no axis'}, and {x} has axes 0 to {x.rank - 1}",
                "name each axis once",
                "axes",
            )
        return found

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        order = self.order(x)
        names = tuple(x.axes[axis] for axis in order) if x.axes else ()
        return (Tensor(x.dtype, tuple(x.dims[axis] for axis in order), names),)

    def idle(self) -> bool:
        return self.axes == tuple(range(len(self.axes)))

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return permuted(x, self.order(x_type))

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        return (g.op("Transpose", [x], type_, name, perm=self.order(x_type)),)


def permuted(x: str, order: tuple[int, ...]) -> str:
    """`x.transpose(1, 2)` where two axes change places, else `x.permute(...)`."""
    moved = [axis for axis, before in enumerate(order) if axis != before]
    if not moved:
        return x
    if len(moved) == 2:
        return f"{x}.transpose({moved[0]}, {moved[1]})"
    return f"{x}.permute({', '.join(map(str, order))})"


def _listed(axes: tuple[int, ...]) -> str:
    *others, last = map(str, axes)
    return f"{', '.join(others)} and {last}" if others else last
