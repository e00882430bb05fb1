"""Tiles of the norm kernels, the best of a sweep over kernels of the same shape.

Percentages are of the copy bandwidth that the sweep reached with them, on one H200 with 2^26 entries in bf16.
"""

from __future__ import annotations

from typing import NamedTuple

PARTS = (64, 32)
"""Rows and columns of a tile of `norm_sum_parts`."""

MEANS = (4096, 8)
"""Columns of a block of `norm_backward_rows`, and its warps."""


class ForwardTiles(NamedTuple):
    """`wide`: rows are longer than a block, and `norm_forward_wide` takes them one by one."""

    rows: int
    block: int
    warps: int
    wide: bool


class BackwardTiles(NamedTuple):
    """`programs`: how many groups of rows there are at most, hence how many parts of the gradient of the weight.

    `again` and `wide` are those of `norm_backward`.
    """

    rows: int
    block: int
    warps: int
    stages: int
    programs: int
    again: bool
    wide: bool


def forward_candidates(cell: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Around a cell of NORM_FORWARD: other rows and warps, for columns are those that a row needs; where rows are wider
    than a block, smaller ones."""
    *rows, block, warps = cell
    if not rows:
        return [(block >> less, w) for less in range(3) for w in _around(warps >> less, 32)]
    return [(count, block, w) for count in _around(rows[0], 128) for w in _around(warps, 32)]


def backward_candidates(cell: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Around a cell of NORM_BACKWARD: other rows, warps, stages and programs."""
    rows, block, warps, _, programs, *ways = cell
    return [
        (count, block, w, stages, p, *ways)
        for count in _around(rows, 128)
        for w in _around(warps, 32)
        for stages in (1, 3)
        for p in (programs, 2 * programs)
    ]


def _around(count: int, most: int) -> list[int]:
    return [one for one in (count // 2, count, 2 * count) if 1 <= one <= most]


def forward_tiles(width: int, entry: int) -> ForwardTiles:
    """84 to 94 % at 768 to 8192, 81 to 91 % at 16,384, 59 to 84 % beyond. `entry` is the size of one in bytes."""
    block = 1 << (width - 1).bit_length()
    if block > 8192:
        return ForwardTiles(1, 16384 // entry, 32 // entry, True)
    rows = min(128, max(1, 4096 // block))
    return ForwardTiles(rows, block, max(1, rows * block // 1024), False)


def backward_tiles(width: int, entry: int, shared: int, crowded: bool) -> BackwardTiles:
    """76 to 82 % at 768 to 8192; beyond, tiles are chosen by registers and traffic, and not yet measured.

    `entry` is the size of one in bytes, `shared` the memory that a program may have. A program for each multiprocessor
    works on a tile while two more of each of three inputs are on their way. `crowded`: the gradients of a bias and of
    what was added leave too few registers for a row of more than 8192, and in float32 for a whole tile.
    """
    block = 1 << (width - 1).bit_length()
    tile = 8192
    while 6 * entry * tile + 12288 > shared:
        tile //= 2
    if block * entry > 32768 or (crowded and block > 8192):
        columns = tile // 8
        return BackwardTiles(8, columns, tile // 1024, 3, 2, False, True)
    if block > tile:
        return BackwardTiles(1, block, block // 1024, 1, 1, True, False)
    warps = tile // 1024
    if crowded and entry == 4 and block <= tile // 2:
        tile //= 2
    return BackwardTiles(min(128, tile // block), block, warps, 3, 1, False, False)
