"""fourier: features of a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import number, whole
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept, Part
from .options import Whole
from .waves import angles, check_even

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_CLASS = '''\
class Fourier(nn.Module):
    """Cosines, then sines of a number at falling frequencies (Ho et al. 2020): [B] or [B, 1] -> [B, dim]"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.half = dim // 2
        self.register_buffer("like", torch.empty(0), persistent=False)  # of the model's dtype

    def forward(self, x: Tensor) -> Tensor:
        step = torch.arange(self.half, dtype=torch.float32, device=x.device)
        angle = x.reshape(-1, 1).float() * 10_000.0 ** (-step / self.half)
        return torch.cat((angle.cos(), angle.sin()), -1).to(self.like.dtype)
'''


class Fourier(Layer):
    """`fourier(dim)` (Ho et al. 2020): a number for each example, [B] or [B, 1], float or int -> [B, dim].

    The first half is cos(x * 10000^(-2i / dim)), the second half the sine of the same: the features of a diffusion
    model's time step.
    """

    word: ClassVar[str] = "fourier"
    example: ClassVar[str] = "fourier(16)"
    example_input: ClassVar[str] = "[B]"

    dim: Whole

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.dtype == "bool" or not (x.rank == 1 or (x.rank == 2 and x.dims[1].value == 1)):
            raise ShapeFault(
                f"fourier takes a number for each example, [B] or [B, 1], and {x} comes in",
                "give it one number a row, such as a time step",
            )
        check_even(self.word, self.dim)
        return (Tensor("float", (x.dims[0], self.dim)),)

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(more=(Part((x.dims[0], self.dim)),))

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"{code.library('Fourier', _CLASS)}({code.number(self.dim)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        column, batch, half = x, type_.dims[0], whole(self.dim) // 2
        if x_type.dtype == "int":
            column = g.op("Cast", [column], Tensor("float", x_type.dims), f"{name}.float", to=1)
        if x_type.rank == 1:
            column = g.op("Unsqueeze", [column, g.whole(1)], Tensor("float", (batch, number(1))), f"{name}.column")
        angle_type = Tensor("float", (batch, number(half)))
        angle = angles(g, column, half, angle_type, name)
        waves = [g.op(kind, [angle], angle_type, f"{name}.{kind.lower()}") for kind in ("Cos", "Sin")]
        return (g.op("Concat", waves, type_, name, axis=1),)
