"""What an update on a GPU gains by single parts of it: trained with and without each, in turns, in one process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from record import spread

from dlspec.runtime import Program, Quiet, train
from dlspec.runtime.bench.measure import peak_of
from dlspec.runtime.optimization import Optimization

WARM = 5
"""Updates that are not counted: the first ones are told kernel by kernel, then one is recorded."""


def apart(program: Program) -> AbstractContextManager[object]:
    """Linear layers of one input each by itself, and activations behind them."""
    return patch.object(_kernels(program), "one_product", lambda *_, **__: False)


def summed(program: Program) -> AbstractContextManager[object]:
    """Gradients of biases by PyTorch."""
    return patch.object(_kernels(program), "column_sums", lambda x, dtype: x.sum(0, dtype=dtype))


def copied(program: Program) -> AbstractContextManager[object]:
    """The gradients of q, k and v put side by side."""
    return patch.object(_kernels(program), "joined", lambda parts: torch.cat(parts, -1).flatten(0, -2))


def activated(program: Program) -> AbstractContextManager[object]:
    """Activations behind linear layers by themselves."""
    return patch.object(program.model_module, "gelu_tanh_linear", lambda x, layer: F.gelu(layer(x), approximate="tanh"))


def waiting(_: Program) -> AbstractContextManager[object]:
    """No step before its loss was read."""
    return patch.object(Optimization, "can_hold_back", False)


def both(program: Program) -> AbstractContextManager[object]:
    stack = ExitStack()
    stack.enter_context(apart(program))
    stack.enter_context(waiting(program))
    return stack


def _kernels(program: Program) -> ModuleType:
    return sys.modules[program.model_module.linears.__module__]


WAYS: Mapping[str, Callable[[Program], AbstractContextManager[object]]] = {
    "as trained": lambda _: nullcontext(),
    "q, k and v apart, activations too": apart,
    "activations apart": activated,
    "gradients of q, k and v copied": copied,
    "biases by PyTorch": summed,
    "each step waits for its loss": waiting,
    "without both": both,
}


class _Times(Quiet):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.at: list[float] = []

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None:
        self.losses.append(losses["loss"])
        self.at.append(perf_counter())


def with_and_without(
    program: Program, folder: Path, device: torch.device, *, rounds: int, updates: int, tokens: int
) -> dict[str, Any]:
    """Tokens a second of each way over `updates` updates of `tokens` tokens, the memory of a run, and how far the
    losses are from those as trained: steps that wait must give the same bits, products that are apart round otherwise.
    """
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    peaks: dict[str, float | None] = {}
    losses: dict[str, list[float]] = {}
    for number in range(rounds):
        for way, change in WAYS.items():
            times = _Times()
            run = folder / f"{list(WAYS).index(way)}_{number}"
            until = WARM + updates
            work = partial(train, program, folder, run, device=str(device), display=times, until=until)
            with change(program):
                peak = peak_of(work, device)
            peaks[way] = None if peak is None else round(peak / 1e9, 3)
            speeds[way].append(updates * tokens / (times.at[-1] - times.at[WARM - 1]))
            losses[way] = times.losses
    trained = losses["as trained"]
    differences = {way: max(abs(a - b) for a, b in zip(found, trained, strict=True)) for way, found in losses.items()}
    return {
        "tokens_per_second": {way: spread(found) for way, found in speeds.items()},
        "peak_gigabytes": peaks,
        "loss_differences": differences,
        "equal": differences["each step waits for its loss"] == 0.0,
    }
