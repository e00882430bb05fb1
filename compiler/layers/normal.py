"""normal: random numbers."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Layer
from .kept import Gives
from .options import Dims
from .reshape import names_of


class Normal(Layer):
    """`normal([B, 64])`: numbers from N(0, 1), new ones at each call, in evaluation too. It takes nothing.

    They are drawn where the model is and in its dtype. Open dims are written by their names.
    """

    word: ClassVar[str] = "normal"
    example: ClassVar[str] = "normal([4, 64])"
    gives: ClassVar[Gives] = "table"
    takes_running: ClassVar[bool] = False
    no_onnx: ClassVar[str] = "`normal`, whose numbers differ at each run"

    dims: Dims

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return (Tensor("float", self.dims, names_of(self.dims)),)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"torch.randn({', '.join([*map(code.number, self.dims), *code.placed_like()])})"
