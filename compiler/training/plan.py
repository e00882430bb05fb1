"""A `train` section that was read and checked: what settings and the recipe are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from ...grammar.frozen import Frozen
from ..semantics.number import Number
from .cadence import EveryCheckpoint, EverySample, Patience
from .dataset import Data
from .init import Init
from .lengths import Length
from .measure import MeanMetric, SetMetric, Value
from .modules import ModuleName
from .objective import LossTerm, Objective, terms
from .optimizer import Optimizer
from .parallelism import Parallel
from .schedule import Schedule

if TYPE_CHECKING:  # of keys that most recipes do not have, and of emission
    from ..backends.pytorch.initial import Scheme
    from .factors import Factor
    from .metric_list import Measured
    from .phases import Phase
    from .start import Start


class TrainPlan(Frozen):
    """How a model learns. `recipe` is the name it is run by; what is None or empty was left out.

    With `phases` there is no `loss` beside theirs; `optimizer` is then the one of all phases that have none of their
    own, or the first phase's.
    """

    model: str
    recipe: str
    data: Data
    bind: Mapping[str, str]
    dims: Mapping[str, int]
    """Open dims of the model that the data makes known, by name."""
    loss: Objective | None
    phases: tuple[Phase, ...]
    metrics: tuple[Measured, ...]
    optimizer: Optimizer
    schedule: Schedule
    run: Length
    batch: int
    accumulate: int
    clip: Number | None
    clip_value: Number | None
    precision: str
    kernels: str
    seed: int
    deterministic: bool
    validate: Length | None
    checkpoint: EveryCheckpoint | None
    early_stop: Patience | None
    sample: EverySample | None
    init: Init | None
    start: Start | None
    freeze: tuple[ModuleName, ...]
    rates: tuple[Factor, ...]
    ema: Number | None
    parallel: tuple[Parallel, ...]

    @property
    def runs(self) -> bool:
        """Whether this version can say all of it in a recipe: what it cannot was noted."""
        losses, metrics = (term.loss for term in self.terms), (measured.metric for measured in self.metrics)
        parts = chain([self.data.source.options, self.optimizer], losses, metrics, self.schedule.stages)
        return not self.phases and all(part.runnable for part in parts)

    def freezes(self, path: str) -> bool:
        """Whether a module or weight does not learn: of the names that match it, the longest is one of `freeze`."""
        named = [(name.depth, True) for name in self.freeze if name.matches(path)]
        named += [(one.module.depth, False) for one in self.rates if one.module.matches(path)]
        return max(named, default=((), False))[1]

    @property
    def terms(self) -> list[LossTerm]:
        """The losses, from left to right."""
        return [] if self.loss is None else list(terms(self.loss))

    @property
    def ignored(self) -> Number | None:
        """The target that does not count, beside -100: one for the whole recipe."""
        return next((term.loss.ignored for term in self.terms if term.loss.counts_classes), None)

    def loss_values(self) -> Iterator[Value]:
        for term in self.terms:
            yield from term.values

    @property
    def mean_metrics(self) -> list[Measured]:
        """The metrics that are means over entries."""
        return [measured for measured in self.metrics if isinstance(measured.metric, MeanMetric)]

    @property
    def set_metrics(self) -> list[Measured]:
        """The metrics of a whole set that are no means."""
        return [measured for measured in self.metrics if isinstance(measured.metric, SetMetric)]

    def metric_values(self, metrics: Iterable[Measured]) -> Iterator[Value]:
        for metric in metrics:
            yield from (metric.said, metric.true)

    @property
    def scheme(self) -> Scheme:
        """How initial weights are drawn."""
        from ..backends.pytorch.initial import Scheme  # a check draws none

        return Scheme(self.init)
