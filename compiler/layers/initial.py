"""Initial values that an option says: `init = normal(0.02)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...grammar.frozen import Frozen
from ..semantics.number import Number, written

if TYPE_CHECKING:
    from .base import Code

WORDS = ("zeros", "ones", "xavier", "he", "orthogonal")
NORMAL = "normal"
OF_MATRICES = frozenset({"xavier", "he", "orthogonal"})
"""Those that go by the number of inputs and outputs, which a vector has not."""

_CALLS = {
    "zeros": "nn.init.zeros_({tensor})",
    "ones": "nn.init.ones_({tensor})",
    "xavier": "nn.init.xavier_uniform_({tensor}, generator=generator)",
    "he": 'nn.init.kaiming_normal_({tensor}, nonlinearity="relu", generator=generator)',
    "orthogonal": "nn.init.orthogonal_({tensor}, generator=generator)",
    NORMAL: "nn.init.normal_({tensor}, std={std}, generator=generator)",
}


class Initial(Frozen):
    """One of `WORDS`, or `normal` with its standard deviation."""

    word: str
    std: Number | None = None

    def __str__(self) -> str:
        return self.word if self.std is None else f"{self.word}({written(self.std)})"

    def line(self, tensor: str, std: str = "") -> str:
        """The statement that fills a tensor; `std` is the standard deviation as Python."""
        return _CALLS[self.word].format(tensor=tensor, std=std)

    def lines(self, module: str, code: Code, *, bias: bool) -> list[str]:
        """The statements that fill the weight of a module, and its bias with zeros."""
        weight = self.line(f"{module}.weight", "" if self.std is None else code.real(self.std))
        return [weight, *([f"nn.init.zeros_({module}.bias)"] if bias else [])]
