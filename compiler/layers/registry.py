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
_NO_LAYER = frozenset(
    """
    __init__ alibi attention attention_mask_onnx attention_onnx attention_steps_onnx attention_torch axes base
    channel_norm convolution ends gains initial kept lengths norms options own_function places pooling
    projected_attention rearrange_pattern recurrent recurrent_onnx recurrent_torch reduction registry
    rotary_torch score side sliding transposed_convolution waves
    """.split()
)


@cache
def stems() -> frozenset[str]:
    """The files that hold a layer each, without their ending."""
    return frozenset(f[:-3] for f in os.listdir(os.path.dirname(__file__)) if f.endswith(".py")) - _NO_LAYER


def stem(word: str) -> str:
    """`RMSNorm` -> `rms_norm`, `Conv2d` -> `conv2d`, `relu` -> `relu`: also how an unlabelled module is called."""
    word = word.replace("PReLU", "Prelu")  # one word to those who say it
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word)
    return spaced.lower()


@cache
def find(word: str) -> type[Layer] | None:
    """The class of a layer or function of this version, or None."""
    name = stem(word)
    if name not in stems():
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
    """The names of all layers of this version, in alphabetical order. Loads every file."""
    found: set[str] = set()
    for name in stems():
        module = import_module(f".{name}", _PACKAGE)
        classes = [
            c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Layer) and "word" in vars(c)
        ]
        found |= {c.word for c in classes}
    return tuple(sorted(found))
