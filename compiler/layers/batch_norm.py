"""BatchNorm: zero mean and unit variance of each channel over a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import real
from ..semantics.tensor import Tensor
from .base import Code, Parameter
from .channel_norm import ChannelNorm
from .kept import Device, Kept, Part
from .norms import with_eps
from .options import Probability, Small

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class BatchNorm(ChannelNorm):
    """`BatchNorm(momentum = 0.1, eps = 1e-5)` (Ioffe and Szegedy 2015): [B, C, ...] -> [B, C, ...].

    `(x - mean) / sqrt(variance + eps) * weight + bias`, mean and variance of each channel (axis 1) over all else. In
    training they are those of the batch, which has to hold more than one entry a channel, and `running_mean` and
    `running_var` move towards them by `momentum`; evaluation takes these. [B, C] up to [B, C, D, H, W] come in.
    """

    word: ClassVar[str] = "BatchNorm"
    example: ClassVar[str] = "BatchNorm"
    example_input: ClassVar[str] = "[B, 16, H, W]"

    momentum: Probability = 0.1
    eps: Small = 1e-5

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check(x, 2, 5)
        return (x,)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return dict.fromkeys(("weight", "bias"), Parameter(x.dims[1:2]))

    def buffers(self, x: Tensor) -> dict[str, Parameter]:
        running = dict.fromkeys(("running_mean", "running_var"), Parameter(x.dims[1:2]))
        return running | {"num_batches_tracked": Parameter(())}

    def keeps(self, x: Tensor, device: Device) -> Kept:
        statistics = Part(x.dims[1:2])
        return Kept(input=True, more=(statistics, statistics))

    def axes_of_module(self, x: Tensor) -> int:
        return max(x.rank - 2, 1)

    def constructor(self, x: Tensor, code: Code) -> str:
        momentum = "" if real(self.momentum) == 0.1 else f", momentum={code.real(self.momentum)}"
        axes = self.axes_of_module(x)
        return f"nn.BatchNorm{axes}d({code.number(x.dims[1])}{with_eps(self.eps, 1e-5, code)}{momentum})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        # Where a channel hardly varied (statistics of few images), 1 / sqrt(variance) also multiplies what was rounded
        # before: deep nets then differ from PyTorch by up to 5e-5, and both are that far from exact. No operator is to
        # blame, nor folding it into a convolution: each alone is exact to 1e-6 (tests/test_onnx_batch_norm.py).
        keys = ("weight", "bias", "running_mean", "running_var")
        inputs = [x, *(g.parameter(f"{module}.{key}") for key in keys)]
        return (g.op("BatchNormalization", inputs, x_type, name, epsilon=real(self.eps)),)
