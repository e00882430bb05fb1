"""RMSNorm: unit root mean square along the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, number, product, real
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter
from .kept import Autocast, Device, Kept, Part
from .norms import check_width
from .options import Real, Small

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_PER_ENTRY = number(4)  # square and sum 2, normalise 1, gain 1

_WITH_OFFSET = '''\
class RMSNorm(nn.Module):
    """Root mean square norm (Zhang and Sennrich 2019) whose gain is `weight + offset`: [..., dim] -> [..., dim]"""

    def __init__(self, dim: int, eps: float, offset: float) -> None:
        super().__init__()
        self.eps = eps
        self.offset = offset
        self.weight = nn.Parameter(torch.empty(dim))
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight + self.offset, self.eps)

    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight, 1.0 - self.offset)
'''


class RMSNorm(Layer):
    """`RMSNorm` (Zhang and Sennrich 2019): [..., D] -> [..., D], `x / sqrt(mean(x^2) + eps) * (weight + offset)`.

    `eps` is 1e-6 where it is left out, as T5 and Gemma have it; PyTorch's is the machine epsilon of the dtype.
    """

    word: ClassVar[str] = "RMSNorm"
    example: ClassVar[str] = "RMSNorm(eps = 1e-5)"
    autocast: ClassVar[Autocast] = "full"

    eps: Small = 1e-6
    offset: Real = 0

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_width("RMSNorm", x)
        return (x,)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"weight": Parameter((x.dims[-1],))}

    def keeps_places(self, x: Tensor) -> bool:
        return x.rank > 2

    def flops(self, x: Tensor) -> Number | None:
        return product([*x.dims, _PER_ENTRY])

    def keeps(self, x: Tensor, device: Device) -> Kept:
        # On a CPU PyTorch takes it step by step: what is normed is there before the gain multiplies it.
        normed = (Part(x.dims),) if device == "cpu" else ()
        return Kept(input=True, more=(Part(x.dims[:-1]), *normed))

    @property
    def is_module(self) -> bool:
        return True

    def arguments(self, x: Tensor, code: Code) -> str:
        """What its module is made with. PyTorch's own eps is the dtype's machine epsilon, so ours is always written."""
        offset = "" if self.offset.value == 0 else f", offset={code.number(self.offset)}"
        return f"{code.number(x.dims[-1])}, eps={code.real(self.eps)}{offset}"

    def constructor(self, x: Tensor, code: Code) -> str:
        name = code.fused(self, x)
        if name is None:
            name = "nn.RMSNorm" if self.offset.value == 0 else code.library("RMSNorm", _WITH_OFFSET)
        return f"{name}({self.arguments(x, code)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{module}.reset_parameters()"]

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        gain = g.parameter(f"{module}.weight")
        if self.offset.value != 0:
            width = Tensor("float", x_type.dims[-1:])
            gain = g.op("Add", [gain, g.number(real(self.offset))], width, f"{name}.gain")
        return (g.op("RMSNormalization", [x, gain], x_type, name, axis=-1, epsilon=real(self.eps)),)
