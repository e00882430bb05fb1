"""The arrays of .npy and .npz files that others wrote."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

# Messages of numpy quote whole headers.
_SHOWN = 160


class UnreadableArray(Exception):
    """Why something is no array that can be read; `objects` where it is one of Python objects."""

    def __init__(self, error: Exception) -> None:
        text = str(error).partition("\n")[0]
        # numpy reads headers as Python, and these say what of that is wrong.
        if not text or isinstance(error, TokenError | TypeError):
            text = "its header cannot be read"
        super().__init__(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
        self.objects = text.startswith("Object arrays")


def open_array_file(path: Path) -> NDArray | NpzFile:
    """The array of a .npy, or the file of several to be closed. Raises UnreadableArray."""
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged file makes numpy raise whatever it stumbles over
        raise UnreadableArray(error) from None


def read_array(stored: NpzFile, name: str) -> NDArray:
    """One of several. Raises UnreadableArray."""
    try:
        found = stored[name]
    except Exception as error:
        raise UnreadableArray(error) from None
    if not isinstance(found, np.ndarray):  # bytes, where it does not begin like a .npy
        raise UnreadableArray(ValueError("it is no .npy"))
    return found
