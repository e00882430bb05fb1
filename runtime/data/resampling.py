"""Samples at another rate."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

ZEROS = 6
"""Zero crossings of the sinc on each side."""
ROLLOFF = 0.99
"""What passes, as a part of half the lower rate."""


def resampled(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """[count] at `rate` -> [ceil(count * wanted / rate)]: interpolation by a sinc under a Hann window, through which
    nothing passes that the new rate cannot hold (Smith and Gossett 1984)."""
    if rate == wanted or not len(samples):
        return samples
    common = math.gcd(rate, wanted)
    rate, wanted = rate // common, wanted // common
    kernels, width = _kernels(rate, wanted)
    padded = F.pad(torch.from_numpy(samples)[None, None], (width, width + rate))
    found = F.conv1d(padded, kernels, stride=rate)[0]  # [wanted, blocks]: a phase of the new samples a row
    return found.T.reshape(-1)[: -(-len(samples) * wanted // rate)].contiguous().numpy()


def _kernels(rate: int, wanted: int) -> tuple[torch.Tensor, int]:
    """The filter at each of the `wanted` phases of new samples within `rate` old ones, and how far it reaches back."""
    cutoff = min(rate, wanted) * ROLLOFF
    width = math.ceil(ZEROS * rate / cutoff)
    old = torch.arange(-width, width + rate, dtype=torch.float64)[None] / rate
    new = torch.arange(wanted, dtype=torch.float64)[:, None] / wanted
    time = ((old - new) * cutoff).clamp(-ZEROS, ZEROS)
    window = torch.cos(time * math.pi / ZEROS / 2) ** 2
    return (torch.sinc(time) * window * cutoff / rate).float()[:, None], width
