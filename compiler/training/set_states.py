"""What metrics of a whole set keep of each batch, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .measure import SetMetric
from .spelling import variable

if TYPE_CHECKING:
    from .metric_list import Measured


def state_names(measured: Measured) -> list[str]:
    """What they are called in the recipe, as parameters, and in settings: `f1_hits`, `f1_above_0_5_hits`."""
    assert isinstance(measured.metric, SetMetric)
    return [variable(f"{measured.name}_{name}") for name in measured.metric.keeps]


def ways(measured: Measured) -> Iterable[str]:
    """How each of them is put together: `sum` or `join`."""
    assert isinstance(measured.metric, SetMetric)
    return measured.metric.keeps.values()
