"""What BatchNorm, GroupNorm and InstanceNorm share: they act on axis 1, the channels."""

from __future__ import annotations

from ..semantics.number import Number, number, product
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .sliding import check_channels

_PER_ENTRY = number(7)  # mean 1, variance 3, normalise 1, gain 1, bias 1


class ChannelNorm(Layer):
    """A norm of [B, C, ...], of each channel or of groups of them."""

    def check(self, x: Tensor, low: int, high: int) -> None:
        """Raises ShapeFault where `x` is no batch of floats with a known number of channels, of rank low to high."""
        if x.dtype != "float":
            raise ShapeFault(
                f"{self.word} takes float, and {x} comes in", "an Embedding makes vectors of whole numbers"
            )
        if not low <= x.rank <= high:
            shape = "[B, C]" if low == 2 else "[B, C, T]"
            raise ShapeFault(
                f"{self.word} takes {shape} to [B, C, D, H, W], and {x} comes in",
                "the first axis is the batch, the second the channels; LayerNorm acts on the last axis",
            )
        check_channels(self.word, x)

    def flops(self, x: Tensor) -> Number | None:
        return product([*x.dims, _PER_ENTRY])

    @property
    def is_module(self) -> bool:
        return True

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{module}.reset_parameters()"]
