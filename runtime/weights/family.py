"""The names that a family of published models has for the weights of a spec that comes with dlspec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .pattern import Pattern
from .renaming import Renamed


@dataclass(frozen=True)
class Family:
    """`prefixes` are what names of a file may begin with, which is put aside; `skip` are patterns of what is no weight
    of the model: buffers, and heads of other tasks."""

    prefixes: tuple[str, ...]
    entries: tuple[Renamed, ...]
    skip: tuple[Pattern, ...] = ()

    def short(self, name: str) -> str:
        """A name without what it begins with in some files only."""
        return next((name.removeprefix(one) for one in self.prefixes if name.startswith(one)), name)


def entries(names: Mapping[str, str | Sequence[str]], *changes: str) -> tuple[Renamed, ...]:
    """An entry for each name; one whose rows are several names has a list."""
    return tuple(
        Renamed((Pattern(old),), tuple(map(Pattern, (new,) if isinstance(new, str) else new)), changes)
        for old, new in names.items()
    )


def patterns(text: str) -> tuple[Pattern, ...]:
    return tuple(map(Pattern, text.split()))
