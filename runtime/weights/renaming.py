"""What weights are called in a file, and in the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .pattern import Match, Pattern


@dataclass(frozen=True)
class Renamed:
    """`old` in the file is `new` in the model, after `changes` ("transpose", "reshape"). Where there are several old
    ones their rows lie one below the other in the new one, and the other way round."""

    old: tuple[Pattern, ...]
    new: tuple[Pattern, ...]
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Move:
    """Weights of a file that become weights of a model, by their whole names."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Renaming:
    """`used` are the patterns of the entries that some name was like; `lacking` what is to be joined with others and
    has them not: its name, and theirs."""

    moves: tuple[Move, ...]
    used: frozenset[str]
    lacking: tuple[tuple[str, str], ...]


def read_entries(entries: Iterable[Mapping[str, Any]]) -> tuple[Renamed, ...]:
    """The entries of `map`, as the compiler writes them into settings."""
    return tuple(
        Renamed(tuple(map(Pattern, one["old"])), tuple(map(Pattern, one["new"])), tuple(one["changes"]))
        for one in entries
    )


def rename(names: Iterable[str], entries: Sequence[Renamed]) -> Renaming:
    """Where each weight of a file goes: by the entry whose pattern says the most, or under its own name."""
    moves: list[Move] = []
    used: set[str] = set()
    joined: dict[tuple[int, Match], dict[int, str]] = {}
    for name in names:
        found = _best(name, entries)
        if found is None:
            moves.append(Move((name,), (name,)))
            continue
        number, place, match = found
        entry = entries[number]
        used.add(entry.old[place].text)
        if len(entry.old) > 1:
            joined.setdefault((number, match), {})[place] = name
        else:
            moves.append(Move((name,), tuple(new.filled(match) for new in entry.new), entry.changes))
    lacking: list[tuple[str, str]] = []
    for (number, match), found in joined.items():
        entry = entries[number]
        sources = tuple(old.filled(match) for old in entry.old)
        absent = [source for place, source in enumerate(sources) if place not in found]
        lacking += [(next(iter(found.values())), source) for source in absent]
        if not absent:
            moves.append(Move(sources, (entry.new[0].filled(match),), entry.changes))
    return Renaming(tuple(moves), frozenset(used), tuple(lacking))


def _best(name: str, entries: Sequence[Renamed]) -> tuple[int, int, Match] | None:
    """The entry of a name: its number, which of its old names that is, and what stands at the `*`."""
    found = [
        (old.precision, number, place, match)
        for number, entry in enumerate(entries)
        for place, old in enumerate(entry.old)
        if (match := old.match(name)) is not None
    ]
    return None if not found else max(found, key=lambda one: one[0])[1:]
