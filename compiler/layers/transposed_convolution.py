"""What ConvTranspose1d, ConvTranspose2d and ConvTranspose3d are: one class, and how many axes they slide along."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, number, product, whole, written
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .convolution import check_groups, share
from .kept import Autocast, Device, Kept
from .lengths import spread
from .options import Flag, InitialValuesOrNone, PerAxis, PerAxisOrZero, Whole
from .sliding import check_channels, check_picture, keyword, per_axis, spelled_out, wholes

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_TWO = number(2)


class TransposedConvolution(Layer):
    """The gradient of a convolution along `axes` axes, as PyTorch's."""

    autocast: ClassVar[Autocast] = "low"
    axes: ClassVar[int]

    features: Whole
    kernel: PerAxis
    stride: PerAxis = 1
    pad: PerAxisOrZero = 0
    out_pad: PerAxisOrZero = 0
    dilation: PerAxis = 1
    groups: Whole = 1
    bias: Flag = True
    init: InitialValuesOrNone = None

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_picture(self.word, x, self.axes)
        check_channels(self.word, x)
        check_groups(self.word, self.groups, self.features, x)
        strides, dilations, extra = self._ints("stride"), self._ints("dilation"), self._ints("out_pad")
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
                x.dims[2:], self._ints("kernel"), strides, self._ints("pad"), dilations, extra, strict=True
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

    def _ints(self, option: str) -> list[int]:
        return wholes(per_axis(self.word, option, getattr(self, option), self.axes))

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        kernels = per_axis(self.word, "kernel", self.kernel, self.axes)
        bias = {"bias": Parameter((self.features,))} if self.bias else {}
        return {"weight": Parameter((x.dims[1], share(self.features, self.groups), *kernels))} | bias

    def flops(self, x: Tensor) -> Number | None:
        _, features, *kernels = self.parameters(x)["weight"].dims
        return product([*x.dims, features, *kernels, _TWO])

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(input=True)

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        options = [
            keyword("stride", self.stride, 1, code),
            keyword("padding", self.pad, 0, code),
            keyword("output_padding", self.out_pad, 0, code),
            keyword("groups", self.groups, 1, code),
            "" if self.bias else ", bias=False",
            keyword("dilation", self.dilation, 1, code),
        ]
        widths = f"{code.number(x.dims[1])}, {code.number(self.features)}"
        return f"nn.{self.word}({widths}, kernel_size={spelled_out(self.kernel, code.number)}{''.join(options)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        if self.init is not None:
            return self.init.lines(module, code, bias=self.bias)
        return [f"{code.init_conv()}({module}.weight, {f'{module}.bias' if self.bias else None}, generator)"]

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        inputs = [x, g.parameter(f"{module}.weight"), *([g.parameter(f"{module}.bias")] if self.bias else [])]
        (type_,) = self.infer(x_type)
        y = g.op(
            "ConvTranspose",
            inputs,
            type_,
            name,
            kernel_shape=self._ints("kernel"),
            strides=self._ints("stride"),
            pads=self._ints("pad") * 2,
            output_padding=self._ints("out_pad"),
            dilations=self._ints("dilation"),
            group=whole(self.groups),
        )
        return (y,)
