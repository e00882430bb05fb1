"""Means over a whole split, exact whatever the size of the batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bindings import counted, take
from .isolation import Turn
from .learner import Learner
from .seeds import derive_seed
from .settings import Measure

if TYPE_CHECKING:
    from .data import Split

# What may be done to a mean over the whole set.
AFTER: Mapping[str, Callable[[float], float]] = {"exp": lambda mean: math.exp(mean) if mean < 709 else math.inf}


def measure_split(
    learner: Learner, turn: Turn, split: Split, stopped: Callable[[], object] = lambda: False
) -> dict[str, float | None] | None:
    """The loss and metrics over all of `split`, the model in evaluation; None where `stopped` said so in between.

    Each batch weighs as much as it has entries that count; sums are kept in double precision. A value that is not
    finite (a perplexity may well overflow) is None: JSON has no word for it.
    """
    options, size = learner.options, learner.options.batch // learner.options.accumulate
    measures = {"loss": options.loss} | ({"metrics": options.metrics} if options.metrics else {})
    sums: dict[str, Tensor] = {}
    weights = dict.fromkeys(measures, 0)
    learner.model.eval()
    try:
        for start in range(0, len(split), size):
            if stopped():
                return None
            batch = split.batch(0, torch.arange(start, min(start + size, len(split))))
            with turn, torch.no_grad():
                turn.seed(derive_seed(options.seed, "validation", start))
                values = learner.values_of(learner.to_device(batch))
                for kind, measure in measures.items():
                    count = counted(measure, batch)
                    weights[kind] += count
                    if count:  # the mean over no entries is no number
                        _add(sums, _means(learner, kind, measure, values), count)
    finally:
        learner.model.train()
    after = options.metrics.after if options.metrics else {}
    return _finish(sums, weights, after)


def _means(learner: Learner, kind: str, measure: Measure, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if kind == "loss":
        return {"loss": learner.loss_of(values)}
    return learner.program.recipe.metrics(**take(measure, values))


def _add(sums: dict[str, Tensor], means: Mapping[str, Tensor], count: int) -> None:
    for name, mean in means.items():
        share = mean.double() * count
        sums[name] = sums[name] + share if name in sums else share


def _finish(
    sums: Mapping[str, Tensor], weights: Mapping[str, int], after: Mapping[str, str]
) -> dict[str, float | None]:
    """Divide, fetching all sums at once, and apply what comes after the mean."""
    if not sums:
        return {}
    totals = dict(zip(sums, torch.stack(list(sums.values())).tolist(), strict=True))
    means = {name: total / weights["loss" if name == "loss" else "metrics"] for name, total in totals.items()}
    values = {name: AFTER[after[name]](mean) if name in after else mean for name, mean in means.items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
