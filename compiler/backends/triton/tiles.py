"""The tables of tiles in a file of kernels: what they may hold, and how what `dlspec bench --tune` found is put in.

Tiles decide how long a kernel takes, and no more of its result than the order of its sums.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ..pytorch.layout import WIDTH
from .attention_tiles import CANDIDATES, CANDIDATES_IN_FLOAT32
from .norm_configuration import backward_candidates, forward_candidates
from .wrong_tiles import WrongTiles

Cell: TypeAlias = tuple[int, ...]
"""Numbers of one kernel, for one generation of GPUs and one size of a number."""
Table: TypeAlias = dict[int, Any]
"""Cells, or tables of them, by generation or by the bytes of a number."""


def tables_in(text: str) -> dict[str, Table]:
    """Every table of a file of kernels, by name."""
    return {name: ast.literal_eval(node.value) for name, node in _assignments(text)}


def cells(table: Table, keys: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Cell]]:
    """Each cell, with what leads to it."""
    for key, inner in table.items():
        if isinstance(inner, dict):
            yield from cells(inner, (*keys, key))
        else:
            yield (*keys, key), inner


def candidates(name: str, keys: tuple[int, ...], cell: Cell) -> list[Cell]:
    """What a cell of the table `name` may hold in place of `cell`, which is the first of them; `keys` lead to it."""
    if name.startswith("ATTENTION_"):
        kind = next(kind for kind in CANDIDATES if name.startswith(kind))
        tries = CANDIDATES_IN_FLOAT32 if keys[-1] == 4 else CANDIDATES[kind]
        found = [(*one, cell[4]) for one in tries]
    elif name.startswith("NORM_FORWARD"):
        found = forward_candidates(cell)
    else:
        found = backward_candidates(cell)
    return list(dict.fromkeys([cell, *found]))


def with_tiles(text: str, tiles: Mapping[str, Any]) -> str:
    """The text of a file of kernels with these tiles in place of its own: tables by name, which need not be whole.

    Keys may be texts and cells lists, as JSON has them. Raises WrongTiles.
    """
    own = tables_in(text)
    unknown = next((name for name in tiles if name not in own), None)
    if unknown is not None:
        raise WrongTiles(f"there is no table {unknown} among the kernels: they are of another spec")
    lines = text.splitlines()
    for name, node in reversed(list(_assignments(text))):
        if name in tiles:
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = _written(name, _merged(name, own[name], tiles[name]))
    return "\n".join(lines) + "\n"


def _assignments(text: str) -> Iterator[tuple[str, ast.Assign]]:
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node


def _merged(name: str, table: Table, given: Any, keys: tuple[int, ...] = ()) -> Table:
    if not isinstance(given, Mapping):
        raise WrongTiles(f"{name} is no table")
    merged = dict(table)
    for word, inner in given.items():
        key = int(word) if str(word).isdecimal() else None
        if key not in table:
            raise WrongTiles(f"{name} has nothing for {word}")
        if isinstance(table[key], dict):
            merged[key] = _merged(name, table[key], inner, (*keys, key))
            continue
        cell = tuple(inner) if isinstance(inner, list | tuple) else ()
        allowed = candidates(name, (*keys, key), table[key])
        if not any(cell == one and [*map(type, cell)] == [*map(type, one)] for one in allowed):
            raise WrongTiles(f"{name} cannot have {inner!r}: `dlspec bench --tune` tries other tiles")
        merged[key] = cell
    return merged


def _written(name: str, table: Table) -> list[str]:
    line = f"{name} = {table}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{name} = {{", *(f"    {key}: {inner}," for key, inner in table.items()), "}"]
