"""What Conv1d, Conv2d and Conv3d are: one class, and how many axes they slide along."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Literal, Number, Operation, divides, number, product, whole, written
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Autocast, Device, Kept
from .lengths import slid
from .options import Flag, InitialValuesOrNone, PerAxis, PerAxisOrSame, Whole
from .sliding import check_channels, check_fits, check_picture, keyword, per_axis, spelled_out, wholes

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_TWO = number(2)


class Convolution(Layer):
    """A convolution along `axes` axes, as PyTorch's, but that `pad = same` works with a stride too."""

    autocast: ClassVar[Autocast] = "low"
    axes: ClassVar[int]

    features: Whole
    kernel: PerAxis
    stride: PerAxis = 1
    pad: PerAxisOrSame = 0
    dilation: PerAxis = 1
    groups: Whole = 1
    bias: Flag = True
    init: InitialValuesOrNone = None

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_picture(self.word, x, self.axes)
        check_channels(self.word, x)
        check_groups(self.word, self.groups, self.features, x)
        kernels, dilations = self._ints("kernel"), self._ints("dilation")
        pads, strides = wholes(self._pads()), self._ints("stride")
        windows = [d * (k - 1) + 1 for d, k in zip(dilations, kernels, strict=True)]
        check_fits(self.word, x, windows, pads, "kernel")
        lengths = [
            slid(length, kernel, stride, pad, pad, dilation)
            for length, kernel, stride, pad, dilation in zip(x.dims[2:], kernels, strides, pads, dilations, strict=True)
        ]
        return (Tensor("float", (x.dims[0], self.features, *lengths), x.axes),)

    def _ints(self, option: str) -> list[int]:
        return wholes(per_axis(self.word, option, getattr(self, option), self.axes))

    def _padding(self) -> Number | tuple[Number, ...]:
        """`pad`, or what `same` comes to: one number where kernel and dilation are."""
        if self.pad != "same":
            return self.pad
        if not isinstance(self.kernel, tuple) and not isinstance(self.dilation, tuple):
            return _same(self.word, self.kernel, self.dilation)
        kernels = per_axis(self.word, "kernel", self.kernel, self.axes)
        dilations = per_axis(self.word, "dilation", self.dilation, self.axes)
        return tuple(_same(self.word, kernel, dilation) for kernel, dilation in zip(kernels, dilations, strict=True))

    def _pads(self) -> tuple[Number, ...]:
        return per_axis(self.word, "pad", self._padding(), self.axes)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        kernels = per_axis(self.word, "kernel", self.kernel, self.axes)
        bias = {"bias": Parameter((self.features,))} if self.bias else {}
        return {"weight": Parameter((self.features, share(x.dims[1], self.groups), *kernels))} | bias

    def flops(self, x: Tensor) -> Number | None:
        (y,) = self.infer(x)
        _, channels, *kernels = self.parameters(x)["weight"].dims
        return product([*y.dims, channels, *kernels, _TWO])

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(input=True)

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        options = [
            keyword("stride", self.stride, 1, code),
            keyword("padding", self._padding(), 0, code),
            keyword("dilation", self.dilation, 1, code),
            keyword("groups", self.groups, 1, code),
            "" if self.bias else ", bias=False",
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
            "Conv",
            inputs,
            type_,
            name,
            kernel_shape=self._ints("kernel"),
            strides=self._ints("stride"),
            pads=wholes(self._pads()) * 2,
            dilations=self._ints("dilation"),
            group=whole(self.groups),
        )
        return (y,)


def _same(word: str, kernel: Number, dilation: Number) -> Number:
    """dilation * (kernel - 1) / 2. Raises ShapeFault where that is not whole."""
    if whole(dilation) * (whole(kernel) - 1) % 2:
        raise ShapeFault(
            f"`pad = same` puts dilation * (kernel - 1) / 2 on both sides of an axis, and that is not whole for a "
            f"kernel of {written(kernel)}",
            f"take an odd kernel, or `pad` in numbers; {word} pads both sides alike",
            "pad",
        )
    if isinstance(kernel, Literal) and isinstance(dilation, Literal):
        return number(whole(dilation) * (whole(kernel) - 1) // 2)
    around: Number = Operation("-", (kernel, number(1)))
    return Operation("/", (around if dilation.value == 1 else Operation("*", (dilation, around)), _TWO))


def check_groups(word: str, groups: Number, features: Number, x: Tensor) -> None:
    """Raises ShapeFault where channels do not fall into groups."""
    for count, what in ((x.dims[1], f"channels of {x}"), (features, "features")):
        if not divides(groups, count):
            raise ShapeFault(
                f"the {written(count)} {what} do not fall into {written(groups)} groups",
                f"channels and features of {word} must be multiples of `groups`",
                "groups",
            )


def share(channels: Number, groups: Number) -> Number:
    """The channels of one group."""
    if groups.value == 1:
        return channels
    if channels.value == groups.value:
        return number(1)
    return Operation("/", (channels, groups))
