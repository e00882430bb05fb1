"""The tables of a rotary embedding, with the numbers that the emitted PyTorch makes."""

from __future__ import annotations

import numpy as np


def tables(length: int, half: int, base: float) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of position * base^(-i / half), each float32 [length, half], from angles in float64.

    `half` is half the width of a head (Su et al. 2021).
    """
    frequency = base ** (-np.arange(half, dtype=np.float64) / half)
    angle = np.outer(np.arange(length, dtype=np.float64), frequency)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
