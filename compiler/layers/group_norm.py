"""GroupNorm: zero mean and unit variance of each group of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import divides, real, whole, written
from ..semantics.tensor import Tensor
from .base import Code, Parameter, ShapeFault
from .channel_norm import ChannelNorm
from .kept import Autocast, Device, Kept, Part
from .norms import with_eps
from .options import Small, Whole

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class GroupNorm(ChannelNorm):
    """`GroupNorm(groups, eps = 1e-5)` (Wu and He 2018): [B, C, ...] -> [B, C, ...].

    `(x - mean) / sqrt(variance + eps) * weight + bias`, mean and variance of each of `groups` groups of channels
    (axis 1), over all their entries in one example; weight and bias are for each channel.
    """

    word: ClassVar[str] = "GroupNorm"
    example: ClassVar[str] = "GroupNorm(4)"
    autocast: ClassVar[Autocast] = "full"
    example_input: ClassVar[str] = "[B, 16, H, W]"

    groups: Whole
    eps: Small = 1e-5

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check(x, 2, 5)
        if not divides(self.groups, x.dims[1]):
            raise ShapeFault(
                f"the {written(x.dims[1])} channels of {x} do not fall into {written(self.groups)} groups",
                "the number of channels must be a multiple of `groups`",
                "groups",
            )
        if x.dims[1].value == self.groups.value and all(dim.value == 1 for dim in x.dims[2:]):
            raise ShapeFault(
                f"each of the {written(self.groups)} groups of {x} is one number, and the norm of one number is 0",
                "take fewer groups, or LayerNorm",
                "groups",
            )
        return (x,)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return dict.fromkeys(("weight", "bias"), Parameter(x.dims[1:2]))

    def keeps(self, x: Tensor, device: Device) -> Kept:
        statistics = Part((x.dims[0], self.groups))
        return Kept(input=True, more=(statistics, statistics))

    def constructor(self, x: Tensor, code: Code) -> str:
        widths = f"{code.number(self.groups)}, {code.number(x.dims[1])}"
        return f"nn.GroupNorm({widths}{with_eps(self.eps, 1e-5, code)})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        inputs = [x, g.parameter(f"{module}.weight"), g.parameter(f"{module}.bias")]
        groups = whole(self.groups)
        return (g.op("GroupNormalization", inputs, x_type, name, epsilon=real(self.eps), num_groups=groups),)
