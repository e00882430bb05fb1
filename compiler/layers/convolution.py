"""What Conv1d, Conv2d and Conv3d are: one class, and how many axes they slide along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import Literal, Number, Operation, number, product, whole, written
from ..semantics.tensor import Tensor
from .base import Code, Parameter, ShapeFault
from .kernel import Kernel
from .lengths import slid
from .options import Flag, InitialValuesOrNone, PerAxis, PerAxisOrSame, Whole
from .sliding import check_fits, keyword, per_axis, wholes

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_TWO = number(2)


class Convolution(Kernel):
    """A convolution along `axes` axes, as PyTorch's, but that `pad = same` works with a stride too."""

    pad: PerAxisOrSame = 0
    dilation: PerAxis = 1
    groups: Whole = 1
    bias: Flag = True
    init: InitialValuesOrNone = None

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check(x)
        kernels, dilations = self.ints("kernel"), self.ints("dilation")
        pads, strides = wholes(self._pads()), self.ints("stride")
        windows = [d * (k - 1) + 1 for d, k in zip(dilations, kernels, strict=True)]
        check_fits(self.word, x, windows, pads, "kernel")
        lengths = [
            slid(length, kernel, stride, pad, pad, dilation)
            for length, kernel, stride, pad, dilation in zip(x.dims[2:], kernels, strides, pads, dilations, strict=True)
        ]
        return (Tensor("float", (x.dims[0], self.features, *lengths), x.axes),)

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
        pads = self._padding()
        if self.axes == 1 and isinstance(pads, tuple) and len(pads) == 2:
            start, end = map(written, pads)
            raise ShapeFault(
                f"`pad` lists {start} and {end}, and {self.word} pads both ends of its one axis alike",
                f"pad before it: `pad({start}, after = {end}, over = -1)`",
                "pad",
            )
        return per_axis(self.word, "pad", pads, self.axes)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return self.weights(self.features, x.dims[1])

    def flops(self, x: Tensor) -> Number | None:
        (y,) = self.infer(x)
        _, channels, *kernels = self.parameters(x)["weight"].dims
        return product([*y.dims, channels, *kernels, _TWO])

    # --- PyTorch ---

    def constructor(self, x: Tensor, code: Code) -> str:
        options = [
            keyword("stride", self.stride, 1, code),
            keyword("padding", self._padding(), 0, code),
            keyword("dilation", self.dilation, 1, code),
            *self.groups_and_bias(code),
        ]
        return self.module_text(x, code, options)

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (self.node(g, "Conv", x, x_type, name, module, pads=wholes(self._pads()) * 2),)


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
