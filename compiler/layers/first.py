"""first: the first entry along axis 1."""

from __future__ import annotations

from typing import ClassVar

from .ends import End


class First(End):
    """`first`: [B, T, ...] -> [B, ...], the first entry along axis 1, such as a class token."""

    word: ClassVar[str] = "first"
    example: ClassVar[str] = "first"
    place: ClassVar[int] = 0
