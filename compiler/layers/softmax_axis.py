"""What softmax and log_softmax share: the axis they sum along."""

from __future__ import annotations

from ..semantics.number import Number, whole
from ..semantics.tensor import Tensor
from .base import ShapeFault


def check_axis(word: str, axis: Number, x: Tensor) -> None:
    """Raises ShapeFault where `x` has no such axis."""
    if not -x.rank <= whole(axis) < x.rank:
        raise ShapeFault(
            f"{word} along axis {whole(axis)}, and {x} has {x.rank}", f"an axis from 0 to {x.rank - 1}", "axis"
        )
