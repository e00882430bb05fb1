"""How long something takes on a device, and how much memory."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import Any

import torch

from ..recording import recover, waits_seen


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """The median of several runs, after some that nobody counts; on a GPU its cache is emptied before each.

    There it is the GPU's time alone where `run` can be recorded (in `on_own_stream`): what the CPU takes to tell it is
    no matter where updates are recorded, as they are in training.
    """
    if device.type != "cuda":
        return statistics.median([_once(run) for _ in range(4)][1:])
    from triton.testing import do_bench

    median: Any = do_bench(_recorded(run) or run, warmup=10, rep=60, return_mode="median")
    return float(median) / 1e3


def on_own_stream(device: torch.device) -> AbstractContextManager[Any]:
    """What is to be recorded runs in a stream of its own, as do the passes that a backward pass belongs to."""
    if device.type != "cuda":
        return nullcontext()
    torch.cuda.synchronize(device)
    return torch.cuda.stream(torch.cuda.Stream(device))


def _recorded(run: Callable[[], object]) -> Callable[[], object] | None:
    """`run` as a CUDA graph; None where the CPU waits for the GPU within, or another thing that cannot be recorded."""
    stream = torch.cuda.current_stream()
    if stream == torch.cuda.default_stream():
        return None
    with waits_seen() as waits:
        run()
        run()
    if waits:
        return None
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            run()
    except RuntimeError:
        recover()
        return None
    return graph.replay


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
