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
from ..optimizer import Optimizer
from ..values import BelowOne, DecayOn


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
    there is (embeddings, heads, biases, gains) learns by `others`, AdamW with the same rate where it is left out.
    `lr` is the peak rate, which the schedule scales, like that of `others`. `decay` takes `lr * decay` of themselves
    off the weights; it acts on matrices only unless `decay_on = all`.
    """

    word: ClassVar[str] = "Muon"
    example: ClassVar[str] = "Muon(lr = 0.02, others = AdamW(lr = 3e-4))"
    runs: ClassVar[bool] = False
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

    @property
    def moments(self) -> int:
        return 1
