"""LayerNorm: zero mean and unit variance along the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, number, product, real
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter
from .kept import Autocast, Device, Kept, Part
from .norms import check_width, with_eps
from .options import Flag, Small

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_PER_ENTRY = number(7)  # mean 1, variance 3, normalise 1, gain 1, bias 1


class LayerNorm(Layer):
    """`LayerNorm` (Ba et al. 2016): [..., D] -> [..., D], `(x - mean) / sqrt(variance + eps) * weight + bias`."""

    word: ClassVar[str] = "LayerNorm"
    example: ClassVar[str] = "LayerNorm"
    autocast: ClassVar[Autocast] = "full"

    eps: Small = 1e-5
    bias: Flag = True

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_width("LayerNorm", x)
        return (x,)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        bias = {"bias": Parameter((x.dims[-1],))} if self.bias else {}
        return {"weight": Parameter((x.dims[-1],))} | bias

    def keeps_places(self, x: Tensor) -> bool:
        return x.rank > 2

    def flops(self, x: Tensor) -> Number | None:
        return product([*x.dims, _PER_ENTRY])

    def keeps(self, x: Tensor, device: Device) -> Kept:
        statistics = Part(x.dims[:-1])
        return Kept(input=True, more=(statistics, statistics))

    @property
    def is_module(self) -> bool:
        return True

    def arguments(self, x: Tensor, code: Code) -> str:
        """What its module is made with."""
        bias = "" if self.bias else ", bias=False"
        return f"{code.number(x.dims[-1])}{with_eps(self.eps, 1e-5, code)}{bias}"

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"{code.fused(self, x) or 'nn.LayerNorm'}({self.arguments(x, code)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{module}.reset_parameters()"]

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        inputs = [x, g.parameter(f"{module}.weight")]
        if self.bias:
            inputs.append(g.parameter(f"{module}.bias"))
        return (g.op("LayerNormalization", inputs, x_type, name, axis=-1, epsilon=real(self.eps)),)
