"""Tiles of kernels tried on a GPU, on what a model calls them with: the fastest of those that give the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from .kernels import as_called, changes_of, is_fused, tensors_of
from .kinds import kind_of
from .measure import on_own_stream, quietly, seconds_of
from .use import Use

Part = Literal["forward", "backward"]
Cell = tuple[int, ...]

GAIN = 0.02
"""Tiles that are not faster by this part are not taken: that much comes and goes."""


@dataclass(frozen=True)
class Tunable:
    """A table of tiles in a file of kernels. `candidates`: what a cell may hold, by what leads to it in the table."""

    name: str
    part: Part
    candidates: Mapping[tuple[int, ...], Sequence[Cell]]


@dataclass(frozen=True)
class Tuned:
    """The cell of a table that a GPU reads for a use, before and after, and the seconds of its pass with each. `tried`
    is how many there were, `failed` how many of them did not run, or gave something else."""

    table: str
    keys: tuple[int, ...]
    before: Cell
    after: Cell
    seconds: tuple[float, float]
    tried: int
    failed: int


def tune(use: Use, kernels: ModuleType, tables: Sequence[Tunable], device: torch.device) -> list[Tuned]:
    """One table after the other. The module is left with the tiles that were found best."""
    if not is_fused(use, kernels):
        return []
    found: list[Tuned] = []
    with quietly(), on_own_stream(device):
        for table in tables:
            if table.part == "forward" or use.trained:
                found.append(_tuned(use, kernels, table, device))
    return found


def _tuned(use: Use, kernels: ModuleType, table: Tunable, device: torch.device) -> Tuned:
    keys, before = _cell(use, kernels, table)
    want = results(use)
    times = {before: _seconds(use, table.part, device)}
    failed = 0
    tries = [one for one in table.candidates[keys] if one != before]
    for candidate in tries:
        with _put(kernels, table.name, keys, candidate):
            try:
                right = _alike(results(use), want)
                seconds = _seconds(use, table.part, device) if right else None
            except Exception:
                # No room on this GPU, or Triton refuses it: another one does.
                seconds = None
        failed += seconds is None
        if seconds is not None:
            times[candidate] = seconds
    best = min(times, key=lambda cell: times[cell])
    if times[best] > (1 - GAIN) * times[before]:
        best = before
    _set(kernels, table.name, keys, best)
    return Tuned(table.name, keys, before, best, (times[before], times[best]), 1 + len(tries), failed)


def _cell(use: Use, kernels: ModuleType, table: Tunable) -> tuple[tuple[int, ...], Cell]:
    """What the launcher reads: by the generation of the GPU, by the bytes of a number, or by both in this order."""
    x = next(iter(use.tensors.values()))
    size = kind_of(use.entry.kind).bytes_of_number(use, backward=table.part == "backward")
    known = {kernels.generation(x), size}
    inner: Any = vars(kernels)[table.name]
    keys: tuple[int, ...] = ()
    while isinstance(inner, dict):
        key = next(one for one in inner if one in known)
        keys, inner = (*keys, key), inner[key]
    return keys, inner


@contextmanager
def _put(kernels: ModuleType, name: str, keys: tuple[int, ...], cell: Cell) -> Iterator[None]:
    inner: Any = vars(kernels)[name]
    for key in keys:
        inner = inner[key]
    _set(kernels, name, keys, cell)
    try:
        yield
    finally:
        _set(kernels, name, keys, inner)


def _set(kernels: ModuleType, name: str, keys: tuple[int, ...], cell: Cell) -> None:
    inner: Any = vars(kernels)[name]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = cell


def results(use: Use) -> list[Tensor]:
    """What goes out, and the gradients of what is trained, with the same numbers drawn each time."""
    torch.manual_seed(0)
    with as_called(use):
        outputs = tensors_of(use.call())
    ends = [one for one in outputs if one.requires_grad]
    if not ends or not use.trained:
        return outputs
    gradients = torch.autograd.grad(ends, use.trained, changes_of(ends), allow_unused=True)
    return [*outputs, *(one for one in gradients if one is not None)]


def _alike(found: Sequence[Tensor], want: Sequence[Tensor]) -> bool:
    """But for the order of sums."""
    for a, b in zip(found, want, strict=True):
        rounding = torch.finfo(b.dtype).eps * b.abs().max() if b.is_floating_point() else 0
        if not torch.isfinite(a).all() or (a - b).abs().max() > 4 * rounding:
            return False
    return True


def _seconds(use: Use, part: Part, device: torch.device) -> float:
    def forward() -> Any:
        with as_called(use):
            return use.call()

    if part == "forward":
        return seconds_of(forward, device)
    ends = [one for one in tensors_of(forward()) if one.requires_grad]
    changes = changes_of(ends)
    return seconds_of(
        lambda: torch.autograd.grad(ends, use.trained, changes, retain_graph=True, allow_unused=True), device
    )
