"""What is wrong with data. Needs no PyTorch, as all that reads a table for an exported model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import RuntimeFault

MOST = 10
"""So many faults are told at once: more would hide the first."""


class DataError(RuntimeFault):
    """Data that is missing, damaged or unfit."""


class DataErrors(DataError):
    """Several faults, each with what to do about it."""

    def __init__(self, faults: Sequence[DataError]) -> None:
        rest = len(faults) - MOST
        self.all = faults
        self._told = [*faults[:MOST], *([DataError(f"and {rest:,} more")] if rest > 0 else [])]
        helps = dict.fromkeys(one.help for one in self._told if one.help)
        super().__init__("\n".join(one.message for one in self._told), "\n".join(helps))

    @property
    def each(self) -> Sequence[RuntimeFault]:
        return self._told


class Faults:
    """Faults that are looked for one behind the other and told together."""

    def __init__(self) -> None:
        self._found: list[DataError] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """What is raised inside is kept, and what stands behind it goes on."""
        try:
            yield
        except DataErrors as several:
            self._found += several.all
        except DataError as fault:
            self._found.append(fault)

    def add(self, fault: DataError) -> None:
        self._found.append(fault)

    def settle(self) -> None:
        """Raises DataError where there are any."""
        if self._found:
            raise together(self._found)


def together(faults: Iterable[DataError]) -> DataError:
    """One fault of several, or the one that there is."""
    found = [*faults]
    return found[0] if len(found) == 1 else DataErrors(found)
