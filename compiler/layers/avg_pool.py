"""avg_pool: the mean of each window."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .pooling import Pooling
from .sliding import check_fits

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class AvgPool(Pooling):
    """`avg_pool(size, stride = size, pad = 0, ceil = false)`: the mean of each window, channel by channel.

    Lengths and options are those of `max_pool`. Padding counts as zeros, and what hangs over the end with `ceil = true`
    not at all.
    """

    word: ClassVar[str] = "avg_pool"
    example: ClassVar[str] = "avg_pool(2)"
    example_input: ClassVar[str] = "[B, 8, H, W]"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        types = super().infer(x)
        if x.rank == 5:  # PyTorch's own window over volumes has to fit without the padding
            check_fits(self.word, x, self.each("size", 3), [0, 0, 0], "size")
        return types

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return self.pooled(g, "AveragePool", x, x_type, name, count_include_pad=1)
