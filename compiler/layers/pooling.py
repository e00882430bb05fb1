"""What max_pool and avg_pool share: a window without weights along all axes behind the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..semantics.number import Number
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .lengths import slid, slid_over
from .options import Flag, PerAxis, PerAxisOrNone, PerAxisOrZero
from .sliding import check_fits, check_picture, keyword, per_axis, spelled_out, wholes

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Pooling(Layer):
    """Pooling of [B, C, T], [B, C, H, W] or [B, C, D, H, W], as PyTorch's."""

    size: PerAxis
    stride: PerAxisOrNone = None
    pad: PerAxisOrZero = 0
    ceil: Flag = False

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        axes = check_picture(self.word, x)
        sizes, strides, pads = (self.each(option, axes) for option in ("size", "stride", "pad"))
        for size, pad in zip(sizes, pads, strict=True):
            if 2 * pad > size:
                raise ShapeFault(
                    f"`pad` of {self.word} is {pad}, and its window is {size} wide",
                    "a window has to reach into the picture: `pad` is at most half of `size`",
                    "pad",
                )
        check_fits(self.word, x, sizes, pads, "size")
        lengths = [
            slid_over(length, size, stride, pad) if self.ceil else slid(length, size, stride, pad, pad)
            for length, size, stride, pad in zip(x.dims[2:], sizes, strides, pads, strict=True)
        ]
        return (Tensor("float", (*x.dims[:2], *lengths), x.axes),)

    def keeps_places(self, x: Tensor) -> bool:
        return True

    def _steps(self) -> Number | Sequence[Number]:
        return self.size if self.stride is None else self.stride

    def each(self, option: str, axes: int) -> list[int]:
        """An option for each of so many axes."""
        value = self._steps() if option == "stride" else getattr(self, option)
        return wholes(per_axis(self.word, option, value, axes))

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        axes = x_type.rank - 2
        own_stride = self.each("stride", axes) != self.each("size", axes)
        options = [
            f", stride={spelled_out(self._steps(), code.number)}" if own_stride else "",
            keyword("padding", self.pad, 0, code),
            ", ceil_mode=True" if self.ceil else "",
        ]
        return f"F.{self.word}{axes}d({x}, {spelled_out(self.size, code.number)}{''.join(options)})"

    def pooled(
        self, g: OnnxBuilder, kind: str, x: OnnxValue, x_type: Tensor, name: str, **attributes: int
    ) -> tuple[OnnxValue, ...]:
        """The one ONNX node of it."""
        axes = x_type.rank - 2
        (type_,) = self.infer(x_type)
        y = g.op(
            kind,
            [x],
            type_,
            name,
            kernel_shape=self.each("size", axes),
            strides=self.each("stride", axes),
            pads=self.each("pad", axes) * 2,
            ceil_mode=int(self.ceil),
            **attributes,
        )
        return (y,)
