"""Bytes to a source: what is a text at all."""

from __future__ import annotations

from pathlib import Path

from .diagnostics import Diagnostic
from .source import Source

_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read(path: Path, name: str | None = None) -> Source | Diagnostic:
    """The text of a file under the name that messages are to show, or why it is none. Raises OSError as `open` does.

    A byte order mark at the beginning and the line ends of Windows are part of the text, so that its offsets hold.
    """
    return decode(path.read_bytes(), str(path) if name is None else name)


def decode(data: bytes, name: str) -> Source | Diagnostic:
    """The text of a file's bytes, which are to be UTF-8."""
    if data[:2] in _MARKS:
        source = Source(name, "")
        message = f"this file is {_MARKS[data[:2]]}, and a spec is UTF-8"
        return Diagnostic("not-text", message, source.span(0, 0), help="save it as UTF-8")
    try:
        source = Source(name, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if b"\0" in data:
            return _not_text(Source(name, ""), 0)
        source = Source(name, data[: error.start].decode("utf-8"))
        place = source.span(len(source.text), len(source.text))
        message = f"the byte 0x{data[error.start]:02X} here is not UTF-8"
        return Diagnostic("not-text", message, place, "the text up to here", help="save the file as UTF-8")
    return not_text(source) or source


def not_text(source: Source) -> Diagnostic | None:
    """What holds a NUL is no text, whatever else stands in it: one finding says enough."""
    place = source.text.find("\0")
    return None if place < 0 else _not_text(source, place)


def _not_text(source: Source, place: int) -> Diagnostic:
    span = source.span(place, place)
    return Diagnostic(
        "not-text", "this file is not a text", span, "binary data", help="give the path of a `.dlspec` file"
    )
