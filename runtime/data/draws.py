"""Numbers that look random and are a pure function of what they are asked for, the same on every machine for ever.

The generators of numpy and torch promise no such thing across their versions.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def scatter(seed: int, counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 bits for every entry of `counter`: the output function of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = np.uint64(seed) + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def permutation(seed: int, count: int) -> NDArray[np.int64]:
    """0 .. count - 1 in another order."""
    return np.argsort(scatter(seed, np.arange(count, dtype=np.uint64)), kind="stable")


def parts_of(count: int, split: tuple[float, float]) -> tuple[int, int]:
    """Where the training part and the validation part of `count` things end, both rounded down.

    Fractions are taken as they are written: 0.29 of 100 is 29.
    """
    train, validation = (Fraction(str(part)) for part in split)
    return int(count * train), int(count * (train + validation))
