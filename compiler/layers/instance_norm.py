"""InstanceNorm: zero mean and unit variance of each channel of each example."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import real
from ..semantics.tensor import Tensor
from .base import Code, ShapeFault
from .channel_norm import ChannelNorm
from .kept import Device, Kept, Part
from .norms import with_eps
from .options import Small

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class InstanceNorm(ChannelNorm):
    """`InstanceNorm(eps = 1e-5)` (Ulyanov et al. 2016): [B, C, T], [B, C, H, W] or [B, C, D, H, W], shape kept.

    `(x - mean) / sqrt(variance + eps)`, mean and variance of each channel (axis 1) of each example, in training and
    evaluation alike. It has no weights.
    """

    word: ClassVar[str] = "InstanceNorm"
    example: ClassVar[str] = "InstanceNorm"
    example_input: ClassVar[str] = "[B, 16, H, W]"

    eps: Small = 1e-5

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check(x, 3, 5)
        if all(dim.value == 1 for dim in x.dims[2:]):
            raise ShapeFault(
                f"each channel of {x} is one number, and InstanceNorm would make it 0",
                "normalise before the picture shrinks to one entry, or use BatchNorm",
            )
        return (x,)

    def keeps_places(self, x: Tensor) -> bool:
        return True

    def keeps(self, x: Tensor, device: Device) -> Kept:
        statistics = Part(x.dims[:2])
        return Kept(input=True, more=(statistics, statistics))

    def axes_of_module(self, x: Tensor) -> int:
        return x.rank - 2

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.InstanceNorm{self.axes_of_module(x)}d({code.number(x.dims[1])}{with_eps(self.eps, 1e-5, code)})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return []

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        channels = Tensor("float", x_type.dims[1:2])
        count = g.length(x, x_type, 1)
        gain, bias = (
            g.op("Expand", [g.number(value), count], channels, f"{name}.{what}")
            for what, value in (("gain", 1), ("bias", 0))
        )
        return (g.op("InstanceNormalization", [x, gain, bias], x_type, name, epsilon=real(self.eps)),)
