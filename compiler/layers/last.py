"""last: the last entry along axis 1."""

from __future__ import annotations

from typing import ClassVar

from .ends import End


class Last(End):
    """`last`: [B, T, ...] -> [B, ...], the last entry along axis 1: what a sequence ends with."""

    word: ClassVar[str] = "last"
    example: ClassVar[str] = "last"
    place: ClassVar[int] = -1
