"""upsample: pictures made larger by a whole factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ..semantics.number import whole
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept
from .lengths import times
from .options import PerAxis, one_of
from .sliding import check_picture, per_axis, spelled_out

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_RESIZE: dict[str, tuple[str, dict[str, str | float]]] = {
    "nearest": ("nearest", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    "bilinear": ("linear", {"coordinate_transformation_mode": "half_pixel"}),
    "bicubic": ("cubic", {"coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75}),
}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class Upsample(Layer):
    """`upsample(factor, mode = nearest)`: [B, C, H, W] -> [B, C, factor * H, factor * W].

    `nearest` repeats entries; `bilinear` interpolates along each axis, also those of [B, C, T] and [B, C, D, H, W];
    `bicubic` is for [B, C, H, W] alone. Corners are not aligned. `factor` is a number, or a list with one an axis.
    """

    word: ClassVar[str] = "upsample"
    example: ClassVar[str] = "upsample(2, mode = bilinear)"
    example_input: ClassVar[str] = "[B, 8, H, W]"

    factor: PerAxis
    mode: Annotated[Any, one_of("nearest", "bilinear", "bicubic")] = "nearest"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        factors = self._factors(x)
        if self.mode == "bicubic" and len(factors) != 2:
            raise ShapeFault(
                f"bicubic is a way to interpolate [B, C, H, W], and {x} comes in",
                "`mode = bilinear` works here",
                "mode",
            )
        lengths = [times(length, factor) for length, factor in zip(x.dims[2:], factors, strict=True)]
        return (Tensor("float", (*x.dims[:2], *lengths), x.axes),)

    def keeps_places(self, x: Tensor) -> bool:
        return True

    def _factors(self, x: Tensor) -> list[int]:
        return [whole(n) for n in per_axis(self.word, "factor", self.factor, check_picture(self.word, x))]

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        # TorchScript takes no whole number for a factor.
        factor = spelled_out(self.factor, code.real if code.exporting else code.number)
        mode = _LINEAR[x_type.rank - 2] if self.mode == "bilinear" else self.mode
        return f'F.interpolate({x}, scale_factor={factor}, mode="{mode}")'

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        scales = g.floats([1, 1, *self._factors(x_type)])
        mode, attributes = _RESIZE[self.mode]
        return (g.op("Resize", [x, None, scales], type_, name, mode=mode, **attributes),)
