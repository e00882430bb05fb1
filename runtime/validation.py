"""The loss and metrics over a whole split, exact whatever the size of the batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bindings import counted, take, tried
from .isolation import Turn
from .learner import Learner
from .seeds import derive_seed
from .settings import Measure

if TYPE_CHECKING:
    from .data import Split

Decode = Callable[[Sequence[int]], str]

# What may be done to a mean over the whole set.
AFTER: Mapping[str, Callable[[float], float]] = {"exp": lambda mean: math.exp(mean) if mean < 709 else math.inf}


def measure_split(
    learner: Learner,
    turn: Turn,
    split: Split,
    stopped: Callable[[], object] = lambda: False,
    *,
    decode: Decode | None = None,
) -> dict[str, float | None] | None:
    """The loss and metrics over all of `split`, the model in evaluation; None where `stopped` said so in between.

    `decode` makes text of tokens, for metrics of texts. A value that is not finite (a perplexity may well overflow) is
    None: JSON has no word for it.
    """
    options, size = learner.options, learner.options.batch // learner.options.accumulate
    means, states = Means(learner), States(learner)
    with learner.evaluated() as model:
        for start in range(0, len(split), size):
            if stopped():
                return None
            batch = split.batch(0, torch.arange(start, min(start + size, len(split))))
            with turn, torch.no_grad():
                turn.seed(derive_seed(options.seed, "validation", start))
                values = learner.values_of(learner.to_device(batch), model)
                means.add(batch, values)
                states.add(values)
    found = means.values() | states.values(decode)
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


class Means:
    """Means over all entries that count. Each batch weighs as much as it has such; sums are in double precision.

    Hits are counted: with what single precision loses of the mean of a batch, as many hits in other batches would be
    another number, and be taken for a better one.
    """

    def __init__(self, learner: Learner) -> None:
        options = learner.options
        self._learner = learner
        self._phases = {phase.function("loss"): phase for phase in options.phases}
        self._measures = options.losses | ({"metrics": options.metrics} if options.metrics else {})
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}

    def add(self, batch: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
        """A batch, as it is on the CPU, and all that is known of it on the device."""
        for kind, measure in self._measures.items():
            all_of_it = counted(measure, batch)
            counts = {name: counted(over, batch) for name, over in measure.counts.items()}
            counts |= {name: tried(hits, batch, values) for name, hits in measure.hits.items()}
            if not all_of_it and not any(counts.values()):
                continue
            for name, mean in self._means(kind, measure, values).items():
                count = counts.get(name, all_of_it)
                if count:  # the mean over no entries is no number
                    self._weights[name] = self._weights.get(name, 0.0) + count
                    share = (mean.double() * count).round() if name in measure.hits else mean.double() * count
                    self._sums[name] = self._sums[name] + share if name in self._sums else share

    def values(self) -> dict[str, float]:
        """Divide, fetching all sums at once, and apply what comes after the mean."""
        if not self._sums:
            return {}
        totals = dict(zip(self._sums, torch.stack(list(self._sums.values())).tolist(), strict=True))
        means = {name: total / self._weights[name] for name, total in totals.items()}
        options = self._learner.options
        after = options.metrics.after if options.metrics else {}
        return {name: AFTER[after[name]](mean) if name in after else mean for name, mean in means.items()}

    def _means(self, kind: str, measure: Measure, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        phase = self._phases.get(kind)
        if phase is not None:
            return {kind: self._learner.loss_of(values, phase)}
        return self._learner.program.recipe.metrics(**take(measure, values))


class States:
    """What metrics that are no means keep of each batch, added up or joined."""

    def __init__(self, learner: Learner) -> None:
        self._recipe = learner.program.recipe
        self._metrics = learner.options.set_metrics
        self._sums: dict[str, Tensor] = {}
        self._joined: dict[str, list[Tensor]] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        if self._metrics is None:
            return
        for name, state in self._recipe.metric_states(**take(self._metrics, values)).items():
            if self._metrics.keep[name] == "join":
                self._joined.setdefault(name, []).append(state.cpu())
            else:
                share = state.double() if state.is_floating_point() else state.long()
                self._sums[name] = self._sums[name] + share if name in self._sums else share

    def values(self, decode: Decode | None) -> dict[str, float]:
        """The metrics, of all that was kept."""
        if self._metrics is None or not (self._sums or self._joined):
            return {}
        states = {name: total.cpu() for name, total in self._sums.items()}
        states |= {name: torch.cat(parts) for name, parts in self._joined.items()}
        return self._recipe.metric_values(**states, **({"decode": decode} if self._metrics.decodes else {}))
