"""Bytes of a file as text."""

from __future__ import annotations

from .faults import DataError
from .files import FoundFile


def decoded(file: FoundFile, content: bytes) -> str:
    """UTF-8 text. Raises DataError with the line of the first byte that is none."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file.name} is not UTF-8: byte {error.start:,} (0x{content[error.start]:02x}, on line {line:,}) "
            "is not part of a character",
            "save it as UTF-8",
        ) from None
