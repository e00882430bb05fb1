"""Finds a layer's class by its name in the language, loading its file only then.

A layer `SelfAttention` lives in `self_attention.py`, `leaky_relu` in `leaky_relu.py`: to add one, add its file.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib import import_module

from .base import Layer

_PACKAGE = __name__.rpartition(".")[0]
_FOLDER = os.path.dirname(__file__)
_WORD = re.compile(r'^    word: ClassVar\[str\] = "(\w+)"$', re.MULTILINE)


def stem(word: str) -> str:
    """`RMSNorm` -> `rms_norm`, `Conv2d` -> `conv2d`, `relu` -> `relu`: also how an unlabelled module is called."""
    word = word.replace("PReLU", "Prelu")  # one word to those who say it
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word)
    return spaced.lower()


@cache
def find(word: str) -> type[Layer] | None:
    """The class of a layer or function of this version, or None."""
    name = stem(word)
    if not os.path.isfile(os.path.join(_FOLDER, f"{name}.py")):
        return None
    module = import_module(f".{name}", _PACKAGE)
    return next(
        (
            c
            for c in vars(module).values()
            if isinstance(c, type) and issubclass(c, Layer) and vars(c).get("word") == word
        ),
        None,
    )


def get(word: str) -> type[Layer]:
    """The class of a layer that there is."""
    found = find(word)
    assert found is not None, word
    return found


@cache
def words() -> tuple[str, ...]:
    """The names of all layers and functions, in alphabetical order. Reads every file, and loads none."""
    found: set[str] = set()
    for file in os.listdir(_FOLDER):
        if file.endswith(".py"):
            with open(os.path.join(_FOLDER, file), encoding="utf-8") as text:
                found.update(_WORD.findall(text.read()))
    return tuple(sorted(found))
