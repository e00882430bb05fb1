"""Muon: the momentum of a matrix, made orthogonal, is the step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from ....grammar import tree
from ...layers.options import Flag, NotNegative, Positive, Whole
from ...options import Kind
from ...semantics.evaluate import FAULT, Scope
from ...semantics.report import Report
from ..base import OptionFault, ReadBy
from ..calls import choose, read_call
from ..language import OPTIMIZERS
from ..optimizer import Optimizer, single
from ..values import BelowOne, DecayOn
from .adamw import AdamW
from .schedulefreeadamw import ScheduleFreeAdamW

_CLASS = '''
class Both(torch.optim.Optimizer):
    """Two optimizers as one, each for its own parameters."""

    def __init__(
        self, first: torch.optim.Optimizer, second: torch.optim.Optimizer, lr: float
    ) -> None:
        self.parts = (first, second)
        super().__init__([*first.param_groups, *second.param_groups], {"lr": lr})

    def step(self, closure: None = None) -> None:
        groups = iter(self.param_groups)
        for part in self.parts:
            # `load_state_dict` makes other groups and another state.
            part.param_groups = list(islice(groups, len(part.param_groups)))
            part.state = self.state
            part.step()
'''


def _read_optimizer(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    if isinstance(flow, tree.Nothing):
        return None
    chosen = choose(flow, name, "optimizers", Optimizer, OPTIMIZERS, scope, report)
    read = None if chosen is None else read_call(*chosen, report)
    return FAULT if read is None else read.options


class Muon(Optimizer):
    """`Muon(lr = 0.02, momentum = 0.95, nesterov = true, steps = 5, decay = 0.1, others = AdamW(lr = 3e-4))`
    (Jordan et al. 2024).

    It is for matrices inside the model: `steps` rounds of Newton and Schulz make their momentum orthogonal. What else
    there is (embeddings, heads, biases, gains, kernels of convolutions) learns by `others`: AdamW with the same rate
    and decay where it is left out. `lr` is the peak rate, which the schedule scales, like that of `others`. `decay`
    takes `lr * decay` of themselves off the weights; it acts on matrices only unless `decay_on = all`.
    """

    word: ClassVar[str] = "Muon"
    example: ClassVar[str] = "Muon(lr = 0.02, others = AdamW(lr = 3e-4))"
    source: ClassVar[str] = _CLASS
    spellings: ClassVar[dict[str, str]] = {**Optimizer.spellings, "ns_steps": "steps"}

    lr: Positive
    momentum: BelowOne = 0.95
    nesterov: Flag = True
    steps: Whole = 5
    decay: NotNegative = 0.1
    decay_on: DecayOn = "matrices"
    others: Annotated[Any, Kind(lambda value: value), ReadBy(_read_optimizer)] = None

    def faults(self) -> Iterator[OptionFault]:
        if isinstance(self.others, Muon):
            message = "`others` learn what Muon is not for"
            yield OptionFault("conflict", message, "others", "Muon again", "such as `others = AdamW(lr = 3e-4)`")
        elif isinstance(self.others, ScheduleFreeAdamW):
            message = "`others` learns beside Muon, whose weights are not averaged"
            help = "such as `others = AdamW(lr = 3e-4)`"
            yield OptionFault("conflict", message, "others", "averages its weights", help)
        elif self.others is not None and self.decay_on == "all":
            message = "Muon has matrices alone, and `others` says itself what decays"
            help = f"write `others = {self.others.word}(.., decay_on = all)`"
            yield OptionFault("conflict", message, "decay_on", "decays nothing more", help)

    @property
    def moments(self) -> int:
        return 1

    @property
    def apart(self) -> Optimizer:
        """What learns all that Muon is not for."""
        return self.others or AdamW(lr=self.lr, decay=self.decay, decay_on=self.decay_on)

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        nesterov = () if self.nesterov else ("nesterov=False",)
        return "Muon", (*single("momentum", self.momentum, 0.95), *nesterov, *single("ns_steps", self.steps, 5))
