"""How far an output may be from what it should be, computed in fp64.

An exported model may be as far as PyTorch's own fp32 is, by a factor, and a little of the output's scale besides: it
adds the same numbers in another order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FACTOR = 4.0
RELATIVE = 1e-5


def largest(array: NDArray) -> float:
    """max |array|; NaN where there is one."""
    return float(np.abs(array).max(initial=0))


def distance(array: NDArray, exact: NDArray) -> float:
    """max |array - exact|; NaN where one is not finite."""
    with np.errstate(invalid="ignore"):
        return largest(array.astype(np.float64) - exact.astype(np.float64))


def allowed(single: NDArray, exact: NDArray) -> float:
    """4 * max |fp32 - exact| + 1e-5 * max |exact|"""
    return FACTOR * distance(single, exact) + RELATIVE * largest(exact)
