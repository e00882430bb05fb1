"""What a model learns from: settings to batches that depend on (seed, epoch, example) and on nothing else.

Loaded on first use: what reads a table for an exported model does not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .check import Message, check_data, check_last_batch
    from .dataset import Data, Field, Split
    from .faults import DataError
    from .open import open_data
    from .targets import watched

_HOMES = {
    **dict.fromkeys(("Message", "check_data", "check_last_batch"), "check"),
    **dict.fromkeys(("Data", "Field", "Split"), "dataset"),
    "DataError": "faults",
    "open_data": "open",
    "watched": "targets",
}
__all__ = ["Data", "DataError", "Field", "Message", "Split", "check_data", "check_last_batch", "open_data", "watched"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)
