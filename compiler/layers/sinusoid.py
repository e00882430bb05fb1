"""Sinusoid: fixed vectors for the places in a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import number, whole
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Gives
from .options import Whole
from .places import places
from .waves import angles, check_even

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_CLASS = '''\
class Sinusoid(nn.Module):
    """Sine and cosine of the position, neighbours in a vector (Vaswani et al. 2017): [B, T, ...] -> [T, dim]"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("like", torch.empty(0), persistent=False)  # of the model's dtype

    def forward(self, x: Tensor) -> Tensor:
        position = torch.arange(x.shape[1], dtype=torch.float32, device=x.device)
        pair = torch.arange(0, self.dim, 2, dtype=torch.float32, device=x.device)
        angle = torch.outer(position, 10_000.0 ** (-pair / self.dim))
        return torch.stack((angle.sin(), angle.cos()), -1).flatten(1).to(self.like.dtype)
'''


class Sinusoid(Layer):
    """`Sinusoid(dim)` (Vaswani et al. 2017): what comes in with a sequence on axis 1 -> [T, dim], without weights.

    Entry 2i of position t is sin(t * 10000^(-2i / dim)), entry 2i + 1 the cosine of the same: neighbours, as in the
    paper, not halves. Any length will do.
    """

    word: ClassVar[str] = "Sinusoid"
    example: ClassVar[str] = "Sinusoid(16)"
    gives: ClassVar[Gives] = "table"
    example_input: ClassVar[str] = "int[B, T]"

    dim: Whole

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank < 2:
            raise ShapeFault(
                f"Sinusoid counts along axis 1, and {x} has none", "give it a sequence: [B, T] or [B, T, D]"
            )
        check_even(self.word, self.dim)
        return (Tensor("float", (x.dims[1], self.dim), (x.axes[1] if x.axes else None, None)),)

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"{code.library('Sinusoid', _CLASS)}({code.number(self.dim)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        length, half = type_.dims[0], whole(self.dim) // 2
        row_type = Tensor("float", (length,))
        row = g.op("Cast", [places(g, x, x_type, f"{name}.position")], row_type, f"{name}.position.float", to=1)
        column = g.op("Unsqueeze", [row, g.whole(1)], Tensor("float", (length, number(1))), f"{name}.position.column")
        angle = angles(g, column, half, Tensor("float", (length, number(half))), name)
        waves: list[OnnxValue] = []
        for kind in ("Sin", "Cos"):
            wave = g.op(kind, [angle], Tensor("float", (length, number(half))), f"{name}.{kind.lower()}")
            single = Tensor("float", (length, number(half), number(1)))
            waves.append(g.op("Unsqueeze", [wave, g.whole(2)], single, f"{name}.{kind.lower()}.column"))
        pairs = g.op("Concat", waves, Tensor("float", (length, number(half), number(2))), f"{name}.pairs", axis=2)
        return (g.op("Reshape", [pairs, g.wholes((0, whole(self.dim)))], type_, name),)
