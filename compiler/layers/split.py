"""split: the channel axis in equal parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import divides, operation, whole, written
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Gives
from .options import Countable

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Split(Layer):
    """`split(n) as a, b`: [..., D] -> n times [..., D / n], in order along the channel axis.

    That is axis 1 at rank 4 and 5, else the last.
    """

    word: ClassVar[str] = "split"
    example: ClassVar[str] = "split(2)"
    gives: ClassVar[Gives] = "view"
    example_outputs: ClassVar[int] = 2

    n: Countable

    @property
    def flowing_whole(self) -> int:
        return whole(self.n)

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        axis = x.channel_axis
        dim = x.dims[axis]
        if not divides(self.n, dim):
            raise ShapeFault(
                f"{written(dim)} does not split into {written(self.n)} equal parts",
                "the channel axis must be a multiple of the number of parts",
                "n",
            )
        part = operation("/", dim, self.n)
        out = x.with_dim(axis, part)
        return (out,) * whole(self.n)

    def keeps_places(self, x: Tensor) -> bool:
        return x.channel_axis > 1

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        axis = x_type.channel_axis
        if self.n.value == 1:
            return x  # what is in no parts is no tuple of one
        return f"{x}.chunk({code.number(self.n)}, {1 if axis == 1 else -1})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        types = self.infer(x_type)
        return g.ops("Split", [x], types, name, axis=x_type.channel_axis, num_outputs=len(types))
