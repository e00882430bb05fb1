"""What a GPU does in an update, kernel by kernel, as PyTorch's profiler sees it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from dlspec.runtime import Program, Quiet, train
from dlspec.runtime.bench.measure import wait_for

WARM, UPDATES, MOST = 10, 5, 25
"""Updates before those that are looked at; how many of these; of how many kernels is told, those that take longest."""


class Profiler:
    """Between `begin` and `end` the device's kernels are noted."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
        self._type = DeviceType.CUDA if device.type == "cuda" else DeviceType.CPU
        self._profile: Any = None
        # What is recorded as a graph is seen where the profiler was there before, and has not let go of the device.
        os.environ.setdefault("TEARDOWN_CUPTI", "0")
        os.environ.setdefault("DISABLE_CUPTI_LAZY_REINIT", "1")
        self.begin()
        self.end()

    def begin(self) -> None:
        wait_for(self._device)
        self._profile = profile(activities=[self._activity], acc_events=True)
        self._profile.start()

    def end(self) -> None:
        wait_for(self._device)
        self._profile.stop()

    def found(self) -> dict[str, Any]:
        """Milliseconds of an update: of each kernel, of all, and in which there was none."""
        spans: list[tuple[float, float]] = []
        times: dict[str, list[float]] = defaultdict(list)
        for event in self._profile.events():
            if event.device_type == self._type:
                begin, end = event.time_range.start, event.time_range.end
                spans.append((begin, end))
                times[event.name].append(end - begin)
        longest = sorted(times.items(), key=lambda one: -sum(one[1]))[:MOST]
        busy, idle = _covered(spans)
        return {
            "busy": _milliseconds(busy),
            "idle": _milliseconds(idle),
            "kernels": round(len(spans) / UPDATES),
            "longest": {name[:120]: _milliseconds(sum(found)) for name, found in longest},
        }


class _Looked(Quiet):
    def __init__(self, profiler: Profiler) -> None:
        self._profiler = profiler

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None:
        if step == WARM:
            self._profiler.begin()
        elif step == WARM + UPDATES:
            self._profiler.end()


def of_training(program: Program, folder: Path, run: Path, device: torch.device) -> dict[str, Any]:
    profiler = Profiler(device)
    train(program, folder, run, device=str(device), display=_Looked(profiler), until=WARM + UPDATES)
    return profiler.found()


def of_loop(run: Callable[[int], None], device: torch.device) -> dict[str, Any]:
    """`run` takes so many updates."""
    profiler = Profiler(device)
    run(WARM)
    profiler.begin()
    run(UPDATES)
    profiler.end()
    return profiler.found()


def _covered(spans: list[tuple[float, float]]) -> tuple[float, float]:
    """How long something went on, and how long nothing between the first and the last."""
    busy = idle = 0.0
    reached = min((begin for begin, _ in spans), default=0.0)
    for begin, end in sorted(spans):
        idle += max(0.0, begin - reached)
        busy += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return busy, idle


def _milliseconds(microseconds: float) -> float:
    return round(microseconds / UPDATES / 1e3, 3)
