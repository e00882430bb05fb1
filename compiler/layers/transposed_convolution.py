"""What ConvTranspose1d, ConvTranspose2d and ConvTranspose3d are: one class, and how many axes they slide along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import Number, number, product, written
from ..semantics.tensor import Tensor
from .base import Code, Parameter, ShapeFault
from .kernel import Kernel
from .lengths import spread
from .options import Flag, InitialValuesOrNone, PerAxis, PerAxisOrZero, Whole
from .sliding import keyword

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_TWO = number(2)


class TransposedConvolution(Kernel):
    """The gradient of a convolution along `axes` axes, as PyTorch's."""

    pad: PerAxisOrZero = 0
    out_pad: PerAxisOrZero = 0
    dilation: PerAxis = 1
    groups: Whole = 1
    bias: Flag = True
    init: InitialValuesOrNone = None

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check(x)
        strides, dilations, extra = self.ints("stride"), self.ints("dilation"), self.ints("out_pad")
        for stride, dilation, more in zip(strides, dilations, extra, strict=True):
            if more >= max(stride, dilation):
                raise ShapeFault(
                    f"`out_pad` of {self.word} is {more}, with a stride of {stride}",
                    "`out_pad` says which of the lengths that a stride makes alike is meant: it is below `stride`",
                    "out_pad",
                )
        lengths = [
            spread(length, kernel, stride, pad, dilation, more)
            for length, kernel, stride, pad, dilation, more in zip(
                x.dims[2:], self.ints("kernel"), strides, self.ints("pad"), dilations, extra, strict=True
            )
        ]
        for axis, length in enumerate(lengths, 2):
            if length.value is not None and length.value < 1:
                raise ShapeFault(
                    f"nothing is left of axis {axis} of {x}: {self.word} makes it {written(length)} long",
                    "`pad` takes away from both ends here: take less of it",
                    "pad",
                )
        return (Tensor("float", (x.dims[0], self.features, *lengths), x.axes),)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return self.weights(x.dims[1], self.features)

    def flops(self, x: Tensor) -> Number | None:
        _, features, *kernels = self.parameters(x)["weight"].dims
        return product([*x.dims, features, *kernels, _TWO])

    # --- PyTorch ---

    def constructor(self, x: Tensor, code: Code) -> str:
        options = [
            keyword("stride", self.stride, 1, code),
            keyword("padding", self.pad, 0, code),
            keyword("output_padding", self.out_pad, 0, code),
            *self.groups_and_bias(code),
            keyword("dilation", self.dilation, 1, code),
        ]
        return self.module_text(x, code, options)

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        padding = {"pads": self.ints("pad") * 2, "output_padding": self.ints("out_pad")}
        return (self.node(g, "ConvTranspose", x, x_type, name, module, **padding),)
