"""A `train` section that was read and checked: what settings and the recipe are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..backends.pytorch.initial import Scheme
from ..semantics.number import Number
from .cadence import EveryCheckpoint, EverySample, Patience
from .lengths import Length
from .measure import Value
from .metric_list import Measured
from .objective import LossTerm, Objective, terms
from .optimizer import Optimizer
from .schedule import Schedule
from .source import DataSource
from .spelling import real_text


@dataclass(frozen=True)
class TrainPlan:
    """How a model learns. `recipe` is the name it is run by; what is None was left out."""

    model: str
    recipe: str
    data: DataSource
    bind: Mapping[str, str]
    loss: Objective
    metrics: tuple[Measured, ...]
    optimizer: Optimizer
    schedule: Schedule
    run: Length
    batch: int
    accumulate: int
    clip: Number | None
    clip_value: Number | None
    precision: str
    seed: int
    deterministic: bool
    validate: Length | None
    checkpoint: EveryCheckpoint | None
    early_stop: Patience | None
    sample: EverySample | None
    init: Number | None

    @property
    def terms(self) -> list[LossTerm]:
        """The losses, from left to right."""
        return list(terms(self.loss))

    @property
    def ignored(self) -> Number | None:
        """The target that does not count, beside -100: one for the whole recipe."""
        return next((term.loss.ignored for term in self.terms if term.loss.counts_classes), None)

    def loss_values(self) -> Iterator[Value]:
        for term in self.terms:
            yield from (term.said, term.true)

    def metric_values(self) -> Iterator[Value]:
        for metric in self.metrics:
            yield from (metric.said, metric.true)

    @property
    def scheme(self) -> Scheme:
        """How initial weights are drawn."""
        return Scheme() if self.init is None else Scheme(real_text(self.init))
