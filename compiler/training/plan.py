"""A `train` section that was read and checked: what settings and the recipe are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from ...grammar.frozen import Frozen
from ..semantics.number import Number, real
from .cadence import EveryCheckpoint, EverySample, Patience
from .dataset import Data
from .init import Init
from .lengths import Length
from .measure import MeanMetric, SetMetric, Value
from .modules import ModuleName, frozen_path
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
        parts = chain([self.data.source.options], losses, metrics, self.schedule.stages)
        return all(part.runnable for part in chain(parts, self.optimizers.values()))

    def freezes(self, path: str) -> bool:
        """Whether a module or weight does not learn: of the names that match it, the longest is one of `freeze`."""
        return frozen_path(path, self.freeze, self.rates)

    @property
    def terms(self) -> list[LossTerm]:
        """The losses, from left to right, phase by phase."""
        return [term for objective in self.objectives.values() for term in terms(objective)]

    @property
    def objectives(self) -> dict[str, Objective]:
        """What is made small, by the name of its function: `loss`, or `judge_loss` of the phase `judge`."""
        if self.loss is not None:
            return {"loss": self.loss}
        return {f"{phase.name}_loss": phase.loss for phase in self.phases}

    @property
    def asked(self) -> dict[str, frozenset[str]]:
        """The outputs of the model that each phase asks for, by name."""
        return {
            phase.name: frozenset(v.name for term in terms(phase.loss) for v in term.values if v.origin == "output")
            for phase in self.phases
        }

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """By phase; under the empty name where there are none."""
        if not self.phases:
            return {"": self.optimizer}
        return {p.name: self.optimizer if p.optimizer is None else p.optimizer.options for p in self.phases}

    @property
    def rate_functions(self) -> dict[str, str]:
        """The function of the learning rate of each phase: one for all, where all have one peak."""
        peaks = {real(optimizer.lr) for optimizer in self.optimizers.values()}
        return {name: "learning_rate" if len(peaks) == 1 else f"{name}_learning_rate" for name in self.optimizers}

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
