"""Files that are packed with gzip, told by their first bytes and not by their names."""

from __future__ import annotations

import gzip
import zlib

from .faults import DataError
from .files import FoundFile

_GZIP = b"\x1f\x8b"


def unpacked(file: FoundFile, content: bytes) -> bytes:
    """What is in a file; raises DataError where it is damaged, or there is nothing in it."""
    if not content.startswith(_GZIP):
        return content
    try:
        inside = gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{file.name} is damaged: {error}", "copy it again from where it is whole") from None
    if not inside:
        raise DataError(f"{file.name} is empty")
    return inside
