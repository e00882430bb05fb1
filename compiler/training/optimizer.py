"""What an optimizer is: its options and the text that makes it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..semantics.number import Number, real
from .base import Options
from .spelling import real_text


class Optimizer(Options):
    """Every optimizer has a peak rate `lr`, which the schedule scales, and a weight decay.

    `decay` acts on matrices only (`decay_on = matrices`), or on all parameters (`decay_on = all`).
    """

    spellings: ClassVar[dict[str, str]] = {
        "learning_rate": "lr",
        "weight_decay": "decay",
        "epsilon": "eps",
        "beta1": "betas = [{}, 0.999]",
        "beta_1": "betas = [{}, 0.999]",
        "adam_beta1": "betas = [{}, 0.999]",
        "beta2": "betas = [0.9, {}]",
        "beta_2": "betas = [0.9, {}]",
        "adam_beta2": "betas = [0.9, {}]",
        "adam_epsilon": "eps",
    }
    decays_unasked: ClassVar[bool] = False
    """Whether PyTorch's class has a weight decay of its own where none is given."""
    fused: ClassVar[bool] = False
    """Whether one kernel updates all weights, without memory of its own (`fused=True` in PyTorch)."""

    package: ClassVar[str] = "torch.optim"
    """Where its class is from; empty where the recipe has it itself."""
    source: ClassVar[str] = ""
    """The text of its class, where the recipe has it itself."""
    doc: ClassVar[str] = ""
    """What who trains with it has to know, as the docstring of `optimizer` in a recipe."""

    factored: ClassVar[bool] = False
    """Whether it keeps the sums of a matrix's rows and columns in place of a moment, and a whole one of a vector."""

    if TYPE_CHECKING:  # each class declares them itself, among its own options, in the order they are written in
        lr: Any
        decay: Any
        decay_on: Any

    @property
    @abstractmethod
    def moments(self) -> int:
        """How many numbers it keeps for each parameter, beside those of `factored`."""

    @abstractmethod
    def constructor(self) -> tuple[str, tuple[str, ...]]:
        """The name of its class, and the arguments after the parameters and the rate."""


def pair(name: str, given: tuple[Number, Number], usual: tuple[float, float]) -> tuple[str, ...]:
    """`name=(a, b)`, where it is not PyTorch's own."""
    texts = ", ".join(real_text(n) for n in given)
    return () if tuple(map(real, given)) == usual else (f"{name}=({texts})",)


def flag(name: str, given: bool) -> tuple[str, ...]:
    """`name=True`, where it is asked for."""
    return (f"{name}=True",) if given else ()


def single(name: str, given: Number, usual: float) -> tuple[str, ...]:
    """`name=a`, where it is not PyTorch's own."""
    return () if real(given) == usual else (f"{name}={real_text(given)}",)
