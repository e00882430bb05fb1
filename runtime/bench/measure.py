"""How long something takes on a device, and how much memory."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """The median of several runs, after some that nobody counts; on a GPU its cache is emptied before each."""
    if device.type != "cuda":
        return statistics.median([_once(run) for _ in range(4)][1:])
    from triton.testing import do_bench

    median: Any = do_bench(run, warmup=10, rep=60, return_mode="median")
    return float(median) / 1e3


def peak_of(run: Callable[[], object], device: torch.device) -> int | None:
    """The most bytes that PyTorch held while `run` ran, above what it held before; None for what is no GPU."""
    if device.type != "cuda":
        run()
        return None
    torch.cuda.synchronize(device)
    held = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - held


@contextmanager
def quietly() -> Iterator[None]:
    """Without PyTorch's warnings: why it takes one of its ways and not another is no news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def versions(device: torch.device) -> dict[str, str]:
    """Of what has a part in a figure; on a GPU, which it is."""
    found = {"torch": str(torch.__version__)}
    if device.type == "cuda":
        import triton

        found |= {"triton": triton.__version__, "cuda": torch.version.cuda or ""}
        found["gpu"] = torch.cuda.get_device_name(device).removeprefix("NVIDIA ")
    return found


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _once(run: Callable[[], object]) -> float:
    begun = perf_counter()
    run()
    return perf_counter() - begun
