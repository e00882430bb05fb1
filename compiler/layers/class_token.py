"""ClassToken: a learned vector in front of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import number, total
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Device, Kept

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_CLASS = '''\
class ClassToken(nn.Module):
    """A learned vector in front of a sequence (Devlin et al. 2019): [B, T, dim] -> [B, T + 1, dim]"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim))

    def forward(self, x: Tensor) -> Tensor:
        token = self.weight.type_as(x).expand(x.shape[0], 1, -1)
        return torch.cat((token, x), 1)
'''


class ClassToken(Layer):
    """`ClassToken` (Devlin et al. 2019): [B, T, D] -> [B, T + 1, D], one learned vector put first."""

    word: ClassVar[str] = "ClassToken"
    example: ClassVar[str] = "ClassToken"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank != 3 or x.dtype != "float" or x.dims[-1].value is None:
            raise ShapeFault(
                f"ClassToken takes [B, T, D] of known width D, and {x} comes in",
                "its vector is made when the model is built: put it behind what makes vectors, such as patchify",
            )
        return (x.with_dim(1, total([x.dims[1], number(1)])),)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"weight": Parameter((x.dims[-1],))}

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"{code.library('ClassToken', _CLASS)}({code.number(x.dims[-1])})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return code.init_vector(f"{module}.weight")

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        batch, _, width = x_type.dims
        lengths = [g.length(x, x_type, 0), g.whole(1), g.length(x, x_type, 2)]
        shape = g.op("Concat", lengths, Tensor("int", (number(3),)), f"{name}.shape", axis=0)
        token_type = Tensor("float", (batch, number(1), width))
        token = g.op("Expand", [g.parameter(f"{module}.weight"), shape], token_type, f"{name}.token")
        return (g.op("Concat", [token, x], type_, name, axis=1),)
