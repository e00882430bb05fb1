"""What a GPU can do at most, by its data sheet."""

from __future__ import annotations

import torch

from ..settings import Precision

# Dense FLOP/s of the Hopper chips with 132 multiprocessors, from NVIDIA's data sheets of the H100 SXM and the H200.
HOPPER: dict[Precision, float] = {"bf16": 989e12, "tf32": 494.5e12, "fp32": 67e12}
_PEAKS = {"H100": HOPPER, "H200": HOPPER}


def peak_flops(device: torch.device, precision: Precision) -> float | None:
    """FLOP/s; None where the data sheet is not known here."""
    if device.type != "cuda":
        return None
    # NVIDIA H100 80GB HBM3, NVIDIA H200; the H100 PCIe and NVL are other chips.
    words = torch.cuda.get_device_name(device).split()
    if {"PCIe", "NVL"} & set(words):
        return None
    return next((_PEAKS[word][precision] for word in words if word in _PEAKS), None)
