"""How an attention is cut into tiles: what was fastest, by the width of a head.

NVIDIA's tensor cores do not take float32 proper (`input_precision = "ieee"`): products are sums of each thread's own,
whose numbers take registers, so that tiles are small and have many warps, and no descriptor copies them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Cut: TypeAlias = tuple[int, int, int, int, bool]
"""Queries and keys of a tile, warps, stages, and whether tiles are copied by tensor descriptors."""

HOPPER, BEFORE = 9, 8
"""Compute capabilities; what is not Hopper is cut as what came before it."""

# Measured on one H200 (triton 3.6.0, 2026-11-26) for 64 and 128; beside them what fits.
_FORWARD: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (64, 64, 4, 3, True), BEFORE: (64, 64, 4, 2, False)},
    128: {HOPPER: (64, 64, 4, 3, True), BEFORE: (64, 64, 4, 2, False)},
    256: {HOPPER: (64, 32, 4, 2, True), BEFORE: (64, 32, 8, 2, False)},
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
_BIASED: dict[str, dict[int, dict[int, Cut]]] = {
    "ATTENTION_FORWARD": {256: {BEFORE: (32, 32, 4, 2, False)}},
    "ATTENTION_BACKWARD_KEYS": {
        128: {HOPPER: (32, 64, 8, 2, True), BEFORE: (32, 32, 4, 2, False)},
        256: {HOPPER: (16, 32, 4, 1, False)},
    },
    "ATTENTION_BACKWARD_QUERIES": {
        64: {HOPPER: (64, 64, 4, 3, True), BEFORE: (64, 32, 4, 2, False)},
        128: {HOPPER: (64, 64, 8, 3, True)},
    },
}
"""Where something is added to the scores, which takes registers as well. Not measured."""
_CROWDED: dict[str, dict[int, tuple[int, Cut]]] = {
    "ATTENTION_BACKWARD_KEYS": {128: (1, (32, 64, 4, 2, True))},
    "ATTENTION_BACKWARD_QUERIES": {64: (2, (64, 64, 4, 3, True)), 256: (4, (64, 32, 8, 2, True))},
}
"""On Hopper, from so many options on that change each score: by registers, not measured."""
_BIAS: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (64, 64, 8, 3, True), BEFORE: (32, 32, 4, 2, False)},
    128: {HOPPER: (64, 64, 8, 2, True), BEFORE: (32, 32, 4, 2, False)},
    256: {HOPPER: (64, 32, 8, 2, True), BEFORE: (32, 16, 4, 1, False)},
}
"""Not measured: what fits, with room for all options."""
# In float32 not measured, either.
_FORWARD_FLOAT32: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (64, 32, 8, 2, False), BEFORE: (64, 32, 8, 2, False)},
    128: {HOPPER: (32, 32, 8, 2, False), BEFORE: (32, 32, 8, 2, False)},
    256: {HOPPER: (16, 16, 8, 2, False), BEFORE: (16, 16, 8, 2, False)},
}
_KEYS_FLOAT32: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (32, 32, 8, 2, False), BEFORE: (16, 32, 8, 2, False)},
    128: {HOPPER: (16, 32, 8, 2, False), BEFORE: (16, 16, 8, 2, False)},
    256: {HOPPER: (16, 16, 8, 1, False), BEFORE: (16, 16, 4, 1, False)},
}
_QUERIES_FLOAT32: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (32, 32, 8, 2, False), BEFORE: (32, 16, 8, 2, False)},
    128: {HOPPER: (32, 16, 8, 2, False), BEFORE: (32, 16, 8, 2, False)},
    256: {HOPPER: (16, 16, 8, 1, False), BEFORE: (16, 16, 4, 1, False)},
}
_BIAS_FLOAT32: dict[int, dict[int, Cut]] = {
    64: {HOPPER: (32, 32, 8, 2, False), BEFORE: (16, 32, 8, 2, False)},
    128: {HOPPER: (32, 16, 8, 2, False), BEFORE: (16, 16, 8, 2, False)},
    256: {HOPPER: (16, 16, 8, 1, False), BEFORE: (16, 16, 4, 1, False)},
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
    "ATTENTION_BACKWARD_BIAS": [
        (32, 16, 4, 1), (32, 32, 4, 2), (32, 32, 8, 2), (64, 32, 4, 2), (64, 32, 4, 3), (64, 32, 8, 2), (64, 32, 8, 3),
        (64, 64, 4, 2), (64, 64, 4, 3), (64, 64, 8, 2), (64, 64, 8, 3), (128, 64, 8, 2), (128, 64, 8, 3),
    ],
}  # fmt: skip
"""What `dlspec bench --tune` tries in half precision, whatever the width; what a GPU has no room for is passed over."""
CANDIDATES_IN_FLOAT32 = [
    (16, 16, 4, 1), (16, 32, 4, 1), (16, 32, 4, 2), (16, 32, 8, 1), (16, 32, 8, 2), (32, 16, 4, 2), (32, 16, 8, 1),
    (32, 32, 4, 1), (32, 32, 4, 2), (32, 32, 8, 1), (32, 32, 8, 2), (32, 64, 8, 2), (64, 32, 8, 2), (64, 64, 8, 2),
]  # fmt: skip
"""The same in float32, for each of the kernels."""

TABLES = {
    "ATTENTION_FORWARD": {2: _FORWARD, 4: _FORWARD_FLOAT32},
    "ATTENTION_BACKWARD_KEYS": {2: _KEYS, 4: _KEYS_FLOAT32},
    "ATTENTION_BACKWARD_QUERIES": {2: _QUERIES, 4: _QUERIES_FLOAT32},
    "ATTENTION_BACKWARD_BIAS": {2: _BIAS, 4: _BIAS_FLOAT32},
}
"""By the bytes of a number, the width of a head and the compute capability."""


def cuts(
    name: str, width: int, group: int = 1, *, biased: bool = False, value_width: int | None = None, options: int = 0
) -> dict[int, dict[int, Cut]]:
    """Of the table `name`, by compute capability and the bytes of a number, for heads of that width, of which `group`
    share one of keys; `biased`: something is added to the scores; so many `options` change each of them. Where values
    have a width of their own, as for heads as wide as the wider of both. A descriptor copies tiles as wide as a power
    of two only; others take registers for where they lie, as an option does."""
    widths = [width, *([] if value_width is None else [value_width])]
    described = all(one >= 16 and one & (one - 1) == 0 for one in widths)
    width = max(widths)
    found: dict[int, dict[int, Cut]] = {HOPPER: {}, BEFORE: {}}
    for size, table in TABLES[name].items():
        widest = next(widest for widest in table if width <= widest)
        chosen = table[widest]
        if table is _KEYS and group > 1 and widest in _GROUPED_KEYS:
            chosen = chosen | {HOPPER: _GROUPED_KEYS[widest]}
        fewest, tight = _CROWDED.get(name, {}).get(widest, (0, None))
        if size == 2 and tight is not None and options + (not described) >= fewest:
            chosen = chosen | {HOPPER: tight}
        if size == 2 and biased:
            chosen = chosen | _BIASED.get(name, {}).get(widest, {})
        for capability, (m, n, warps, stages, by_descriptor) in chosen.items():
            found[capability][size] = (m, n, warps, stages, by_descriptor and described)
    return found


def table_lines(
    names: Iterable[str], width: int, group: int, *, biased: bool, value_width: int | None, options: int
) -> list[str]:
    lines = [
        "# How it is cut, by compute capability and the bytes of a number: queries and keys of a",
        "# tile, warps, stages, and whether tiles are copied by tensor descriptors.",
    ]
    for name in names:
        found = cuts(name, width, group, biased=biased, value_width=value_width, options=options)
        lines += [f"{name} = {{", *(f"    {key}: {cut}," for key, cut in found.items()), "}"]
    return lines
