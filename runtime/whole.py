"""The whole numbers that models take: int64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST, MOST = -(2**63), 2**63 - 1


def first_beyond(array: NDArray) -> tuple[int, int] | None:
    """The first number that int64 does not hold, behind its place along the first axis. None but uint64 has any."""
    if array.dtype.kind != "u" or array.dtype.itemsize < 8:
        return None
    array = np.atleast_1d(array)
    beyond = array > np.uint64(MOST)
    return (int(np.argwhere(beyond)[0][0]), int(array[beyond][0])) if beyond.any() else None


def told(number: int) -> str:
    """`9223372036854775808, and whole numbers end at 9,223,372,036,854,775,807`, of one that int64 does not hold."""
    text = str(number)
    ends = f"end at {MOST:,}" if number > 0 else f"begin at {LEAST:,}"
    return f"{text if len(text) <= 40 else f'{text[:37]}...'}, and whole numbers {ends}"
