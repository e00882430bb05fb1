"""log_softmax: the logarithm of softmax, computed without overflow."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function
from .options import Axis
from .softmax_axis import check_axis


class LogSoftmax(Function):
    """`log_softmax(axis)`: the logarithm of softmax, computed without overflow (the last where none is given)."""

    word: ClassVar[str] = "log_softmax"
    example: ClassVar[str] = "log_softmax(axis = 1)"

    axis: Axis = -1

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_axis("log_softmax", self.axis, x)
        return super().infer(x)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}.log_softmax({code.number(self.axis)})"
