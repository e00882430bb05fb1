"""Finds an option class by its name in the language, loading its file only then.

The loss `mse` lives in `losses/mse.py`, the optimizer `AdamW` in `optimizers/adamw.py`: to add one, add its file.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import TypeVar

from .base import Options

Kind = TypeVar("Kind", bound=Options)


def find(folder: str, word: str, kind: type[Kind]) -> type[Kind] | None:
    """The class that `word` names in a folder (`losses`), a subclass of `kind`, or None where this version has none."""
    found = _classes(folder, word.lower()).get(word)
    return found if found is not None and issubclass(found, kind) else None


@cache
def words(folder: str) -> tuple[str, ...]:
    """The names of a folder, in alphabetical order. Loads every file."""
    return tuple(sorted(word for stem in _stems(folder) for word in _classes(folder, stem)))


@cache
def _stems(folder: str) -> frozenset[str]:
    here = os.path.join(os.path.dirname(__file__), folder)
    return frozenset(f[:-3] for f in os.listdir(here) if f.endswith(".py")) - {"__init__"}


@cache
def _classes(folder: str, stem: str) -> dict[str, type[Options]]:
    if stem not in _stems(folder):
        return {}
    module = import_module(f".{folder}.{stem}", __package__)
    own = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    return {c.word: c for c in own if issubclass(c, Options) and "word" in vars(c)}
