"""max_pool: the largest entry of each window."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .kept import Device, Kept, Part
from .pooling import Pooling

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class MaxPool(Pooling):
    """`max_pool(size, stride = size, pad = 0, ceil = false)`: the largest entry of each window, channel by channel.

    [B, C, T], [B, C, H, W] or [B, C, D, H, W] come in; each length L becomes `(L + 2 * pad - size) // stride + 1`, and
    with `ceil = true` a last window may hang over the end. What is padded is never the largest. `size`, `stride` and
    `pad` are numbers, or lists with one an axis.
    """

    word: ClassVar[str] = "max_pool"
    example: ClassVar[str] = "max_pool(3, stride = 2, pad = 1)"
    example_input: ClassVar[str] = "[B, 8, H, W]"

    def keeps(self, x: Tensor, device: Device) -> Kept:
        (y,) = self.infer(x)
        return Kept(input=True, more=(Part(y.dims, 8),))  # where each maximum stood

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return self.pooled(g, "MaxPool", x, x_type, name)
