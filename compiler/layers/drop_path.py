"""DropPath: whole examples set to zero at random while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Layer
from .kept import Device, Kept, Part
from .options import DropRate

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_CLASS = '''\
class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training an example is 0 with probability `p`, or over 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        ones = x.new_ones((x.shape[0],) + (1,) * (x.ndim - 1))
        return x * F.dropout(ones, self.p)
'''


class DropPath(Layer):
    """`DropPath(p)` (stochastic depth, Huang et al. 2016): in training an example is 0 with probability `p`.

    The other examples are divided by 1 - p. It stands at the end of a residual's branch.
    """

    word: ClassVar[str] = "DropPath"
    example: ClassVar[str] = "DropPath(0.1)"
    trains_only: ClassVar[bool] = True

    p: DropRate

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)

    def idle(self) -> bool:
        return self.p.value == 0

    def keeps_places(self, x: Tensor) -> bool:
        return True

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(more=(Part(x.dims[:1]),))

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"{code.library('DropPath', _CLASS)}({code.number(self.p)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (x,)
