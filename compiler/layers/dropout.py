"""Dropout: entries set to zero at random while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Layer
from .kept import Device, Kept, Part
from .options import DropRate

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Dropout(Layer):
    """`Dropout(p)` (Srivastava et al. 2014): in training each entry is 0 with probability `p`, the rest over 1 - p."""

    word: ClassVar[str] = "Dropout"
    example: ClassVar[str] = "Dropout(0.1)"
    trains_only: ClassVar[bool] = True

    p: DropRate

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)

    def idle(self) -> bool:
        return self.p.value == 0

    def keeps_places(self, x: Tensor) -> bool:
        return True

    def keeps(self, x: Tensor, device: Device) -> Kept:
        # The mask: PyTorch's own kernel for CUDA keeps truth values, elsewhere it is drawn as floats.
        return Kept(more=(Part(x.dims, 1 if device == "cuda" else 4),))

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.Dropout({code.number(self.p)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (x,)
