"""patchify: a picture as a sequence of patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, number, product, whole, written
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept
from .lengths import divided
from .options import PerAxis
from .reshape import onnx_reshape
from .sliding import check_picture, per_axis, spelled_out

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Patchify(Layer):
    """`patchify(size)` (Dosovitskiy et al. 2021): [B, C, H, W] -> [B, T, C * size ^ 2], patches without overlap.

    T is `(H / size) * (W / size)`, along the rows of patches from the top left. A patch has its entries channel by
    channel, each channel row by row, so that `patchify(p) -> Linear(D)` is a Conv2d(D, kernel = p, stride = p) whose
    kernels are flattened. `size` is a number, or a list of height and width.
    """

    word: ClassVar[str] = "patchify"
    example: ClassVar[str] = "patchify(4)"
    example_input: ClassVar[str] = "[B, 3, 4 * H, 8]"

    size: PerAxis

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        sizes, counts = self._sizes(x), self._counts(x)
        names = (x.axes[0], None, None) if x.axes else ()
        return (Tensor("float", (x.dims[0], product(counts), product([x.dims[1], *sizes])), names),)

    def _sizes(self, x: Tensor) -> tuple[Number, ...]:
        return per_axis(self.word, "size", self.size, check_picture(self.word, x, 2))

    def _counts(self, x: Tensor) -> list[Number]:
        """How many patches lie along each axis."""
        counts: list[Number] = []
        for axis, size in enumerate(self._sizes(x), 2):
            length = x.dims[axis]
            count = divided(length, whole(size))
            if count is None:
                text, step = written(length), written(size)
                wider = f": {step} * {text} in the input of the model says so" if length.value is None else ""
                raise ShapeFault(
                    f"{text} of {x} does not divide into patches of {step}",
                    f"axis {axis} must be a multiple of `size`{wider}",
                    "size",
                )
            counts.append(count)
        return counts

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        size = spelled_out(self.size, code.number)
        return f"F.unfold({x}, {size}, stride={size}).transpose(1, 2)"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        batch, channels = x_type.dims[:2]
        sizes, counts = self._sizes(x_type), self._counts(x_type)
        (type_,) = self.infer(x_type)
        parts = [g.length(x, x_type, 0), g.length(x, x_type, 1)]
        for axis, size in enumerate(sizes, 2):
            length = g.length(x, x_type, axis)
            many = Tensor("int", (number(1),))
            parts += [g.op("Div", [length, g.whole(whole(size))], many, f"{name}.{axis}.patches"), g.whole(whole(size))]
        shape = g.op("Concat", parts, Tensor("int", (number(6),)), f"{name}.parts", axis=0)
        split = (batch, channels, counts[0], sizes[0], counts[1], sizes[1])
        y = g.op("Reshape", [x, shape], Tensor("float", split), f"{name}.split")
        order = (0, 2, 4, 1, 3, 5)
        apart = Tensor("float", tuple(split[i] for i in order))
        y = g.op("Transpose", [y], apart, f"{name}.patches", perm=order)
        return (onnx_reshape(g, y, apart, type_, name),)
