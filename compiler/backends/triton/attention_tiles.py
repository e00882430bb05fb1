"""How an attention is cut into tiles: what was fastest, by the width of a head."""

from __future__ import annotations

from typing import TypeAlias

Cut: TypeAlias = tuple[int, int, int, int, bool]
"""Queries and keys of a tile, warps, stages, and whether tiles are copied by tensor descriptors."""

HOPPER, BEFORE = 9, 8
"""Compute capabilities; what is not Hopper is cut as what came before it."""

# Measured on one H200 (triton 3.6.0, 2026-11-26) for 64 and 128; beside them what fits.
_FORWARD: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (64, 64, 4, 3, True), BEFORE: (64, 64, 4, 2, False)},
    128: {HOPPER: (64, 64, 4, 3, True), BEFORE: (64, 64, 4, 2, False)},
    256: {HOPPER: (64, 32, 4, 2, True), BEFORE: (64, 32, 4, 2, False)},
}
_KEYS: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (32, 64, 4, 3, True), BEFORE: (32, 64, 4, 2, False)},
    128: {HOPPER: (64, 64, 4, 2, True), BEFORE: (32, 64, 4, 2, False)},
    256: {HOPPER: (32, 64, 8, 2, True), BEFORE: (16, 32, 4, 1, False)},
}
_GROUPED_KEYS = {128: (64, 64, 8, 2, True)}
"""On Hopper, where several heads of queries share one of keys: going over them takes registers."""
_QUERIES: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (128, 64, 4, 3, True), BEFORE: (64, 64, 4, 2, False)},
    128: {HOPPER: (128, 64, 8, 3, True), BEFORE: (64, 32, 4, 2, False)},
    256: {HOPPER: (64, 64, 8, 2, True), BEFORE: (32, 32, 4, 1, False)},
}
CANDIDATES: dict[str, list[tuple[int, int, int, int]]] = {
    "ATTENTION_FORWARD": [
        (64, 32, 4, 2), (64, 32, 4, 3), (64, 64, 4, 2), (64, 64, 4, 3), (64, 64, 4, 4), (64, 128, 4, 2),
        (64, 128, 4, 3), (128, 32, 4, 3), (128, 64, 4, 2), (128, 64, 4, 3), (128, 64, 8, 2), (128, 64, 8, 3),
        (128, 128, 8, 2),
    ],
    "ATTENTION_BACKWARD_KEYS": [
        (16, 32, 4, 1), (32, 64, 4, 2), (32, 64, 4, 3), (32, 64, 4, 4), (32, 64, 8, 2), (32, 128, 4, 3),
        (32, 128, 8, 2), (32, 128, 8, 3), (64, 64, 4, 2), (64, 64, 4, 3), (64, 64, 8, 2), (64, 128, 8, 2),
        (128, 64, 8, 2),
    ],
    "ATTENTION_BACKWARD_QUERIES": [
        (32, 32, 4, 1), (64, 32, 4, 2), (64, 64, 4, 2), (64, 64, 4, 3), (64, 64, 8, 2), (64, 128, 4, 2),
        (128, 32, 4, 3), (128, 32, 8, 3), (128, 64, 4, 3), (128, 64, 8, 2), (128, 64, 8, 3), (128, 128, 8, 2),
    ],
}  # fmt: skip
"""What `dlspec bench --tune` tries, whatever the width; what a GPU has no room for is passed over."""

TABLES = {
    "ATTENTION_FORWARD": _FORWARD,
    "ATTENTION_BACKWARD_KEYS": _KEYS,
    "ATTENTION_BACKWARD_QUERIES": _QUERIES,
}


def cuts(table: dict[int, dict[int, Cut]], width: int, group: int = 1) -> dict[int, Cut]:
    """By compute capability, for heads of that width, of which `group` share one of keys. A descriptor copies tiles as
    wide as a power of two only."""
    widest = next(widest for widest in table if width <= widest)
    chosen = table[widest]
    if table is _KEYS and group > 1 and widest in _GROUPED_KEYS:
        chosen = chosen | {HOPPER: _GROUPED_KEYS[widest]}
    described = width >= 16 and width & (width - 1) == 0
    return {capability: (*cut[:4], cut[4] and described) for capability, cut in chosen.items()}


def table_lines(width: int, group: int) -> list[str]:
    lines = [
        "# How it is cut, by compute capability: queries and keys of a tile, warps, stages, and",
        "# whether tiles are copied by tensor descriptors.",
    ]
    for name, table in TABLES.items():
        found = cuts(table, width, group)
        lines.append(f"{name} = {{{', '.join(f'{capability}: {cut}' for capability, cut in found.items())}}}")
    return lines
