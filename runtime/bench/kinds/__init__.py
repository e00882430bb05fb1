"""What is known of each kind of kernels: `attention.py` of the kind `attention`. One without a file is measured too."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from .base import Kind


def kind_of(word: str) -> Kind:
    """What is known of a kind; of one that has no file, what holds for all."""
    if find_spec(f".{word}", __name__) is None:
        return Kind()
    return import_module(f".{word}", __name__).KIND
