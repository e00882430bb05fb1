"""How initial weights are drawn."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from .base import Options


class Init(Options):
    """Weights of matrices, kernels and embeddings; biases are 0. Left out, all are drawn as PyTorch draws them."""

    of_matrices: ClassVar[bool] = True
    """Whether it goes by the rows and columns of a matrix: a vector counts as one row."""

    @property
    @abstractmethod
    def drawn(self) -> str:
        """Where the weights are drawn from, for a docstring: `from N(0, 0.02^2)`."""

    @abstractmethod
    def lines(self, tensor: str) -> list[str]:
        """The statements that fill a tensor from `generator`; it has two axes or more where `of_matrices`."""
