"""Norms of rows that are as wide as registers allow, with other tiles, and with whole rows in place of two passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from gpu_bandwidth import ENTRIES, EPS, copied, norm_of
from gpu_uses import Emitted

from dlspec.api.bench import tunables
from dlspec.compiler.backends.triton import file, norm_features
from dlspec.compiler.backends.triton.norm_configuration import ForwardTiles
from dlspec.runtime.bench.kernels import OURS, Measured, measure_way
from dlspec.runtime.bench.kinds import kind_of
from dlspec.runtime.bench.kinds.base import Rival
from dlspec.runtime.bench.tune import tune

WIDTH = 16_384
WARPS = (8, 16, 32)


def wide_norms(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """In bf16, as parts of what a copy reaches: as emitted, with the best tiles that `dlspec bench --tune` finds, and
    with a program that has a whole row."""
    width = 64 if quick else WIDTH
    x = torch.randn(2**12 if quick else ENTRIES, device=device).bfloat16().view(-1, width)
    copy = copied(x) / 1e9
    found: dict[str, Any] = {}
    for word in EPS:
        emitted = norm_of(word, x)
        ways = {"as emitted": _parts(_measured(emitted, device), copy)}
        (name,) = emitted.artefact.kernels
        tables = tunables(emitted.artefact, name)[word]
        tiles = {one.table: list(one.after) for one in tune(emitted.use, emitted.kernels, tables, device)}
        ways["tuned"] = {**_parts(_measured(emitted, device), copy), **tiles}
        for warps in WARPS:
            with _whole(width, warps):
                ways[f"whole rows, {warps} warps"] = _parts(_measured(norm_of(word, x), device), copy)
        found[word] = ways
    return found


def _measured(emitted: Emitted, device: torch.device) -> Measured:
    use = emitted.use
    return measure_way(use, kind_of(use.entry.kind), Rival(OURS, use.run), device)


def _parts(measured: Measured, copy: float) -> dict[str, Any]:
    if measured.failed:
        return {"failed": measured.failed}
    assert measured.forward is not None and measured.backward is not None
    return {
        "forward": round(measured.forward.speed / copy, 3),
        "backward": round(measured.backward.speed / copy, 3),
    }


@contextmanager
def _whole(width: int, warps: int) -> Iterator[None]:
    """While it lasts, norms are emitted with programs that have a whole row in the forward pass."""
    tiles = ForwardTiles(1, 1 << (width - 1).bit_length(), warps, False)
    file._text_of.cache_clear()
    try:
        with patch.object(norm_features, "forward_tiles", lambda *_: tiles):
            yield
    finally:
        file._text_of.cache_clear()
