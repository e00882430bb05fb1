"""The fault of tiles, by itself: who catches it need not load what writes kernels."""

from __future__ import annotations


class WrongTiles(Exception):
    """Tiles that kernels cannot have; the message says which, and why."""
