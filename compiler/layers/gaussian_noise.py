"""GaussianNoise: noise added while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function
from .kept import Device, Kept
from .options import NotNegative

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_CLASS = '''\
class GaussianNoise(nn.Module):
    """Adds noise of N(0, std^2) to each entry in training."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training else x
'''


class GaussianNoise(Function):
    """`GaussianNoise(std)`: in training, noise of N(0, std^2) is added to each entry."""

    word: ClassVar[str] = "GaussianNoise"
    example: ClassVar[str] = "GaussianNoise(0.1)"
    trains_only: ClassVar[bool] = True

    std: NotNegative

    def idle(self) -> bool:
        return self.std.value == 0

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"{code.library('GaussianNoise', _CLASS)}({code.number(self.std)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (x,)
