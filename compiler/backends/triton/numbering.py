"""Names of what several variants bring into one file: from the second variant on they end with its number.

What variants have alike stands there once, under one name (see merge.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_INSTEAD: ContextVar[Mapping[str, str]] = ContextVar("_INSTEAD", default=MappingProxyType({}))
OPERATORS = "operators."
"""Stands before an operator, in names and in texts: it may be called like a function of the file."""


@contextmanager
def going_by(names: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, what has one of these names goes by another."""
    token = _INSTEAD.set(names)
    try:
        yield
    finally:
        _INSTEAD.reset(token)


def numbered(name: str, number: int) -> str:
    """The name in the variant of that number."""
    own = name if number == 1 else f"{name}_{number}"
    return _INSTEAD.get().get(own, own)


def with_numbers(line: str, names: Collection[str], number: int) -> str:
    """A line with the variant's number at its names; what PyTorch calls so is its own."""
    pattern = rf'(?<![.\w])(operators\.|^ +")?({"|".join(sorted(set(names), key=len, reverse=True))})(?!\w)'
    return re.sub(pattern, lambda found: _numbered(found[1] or "", found[2], number), line)


def _numbered(front: str, name: str, number: int) -> str:
    if not front:
        return numbered(name, number)
    # In front of a schema stands what opens its text.
    operator = numbered(f"{OPERATORS}{name}", number)
    return front + operator.removeprefix(OPERATORS)
