"""What a format is that a model can be exported to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Options


class Format(Options):
    """Every format writes to a `path`."""

    if TYPE_CHECKING:  # each class declares it itself, first of its options
        path: str
