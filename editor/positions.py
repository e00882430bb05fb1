"""Offsets of a text as an editor counts them: lines from 0, columns in units of UTF-16, UTF-8 or code points."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Literal

Encoding = Literal["utf-8", "utf-16", "utf-32"]

# What ends a line for an editor. Python's splitlines knows more: a form feed ends no line here.
_LINE_END = re.compile(r"\r\n|\n|\r")
_WIDTH = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
_CODEC = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


class Lines:
    """Converts between offsets, which count code points, and an editor's lines and columns."""

    def __init__(self, text: str, encoding: Encoding = "utf-16") -> None:
        self.text, self.encoding = text, encoding
        ends = list(_LINE_END.finditer(text))
        self.starts = [0, *(end.end() for end in ends)]
        self.ends = [*(end.start() for end in ends), len(text)]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset."""
        line = bisect_right(self.starts, offset) - 1
        return line, self._units(self.text[self.starts[line] : offset])

    def offset(self, line: int, column: int) -> int:
        """The offset of a line and column; what lies behind a line or the text is its end, half a character its
        start."""
        if line >= len(self.starts):
            return len(self.text)
        start, end = self.starts[line], self.ends[line]
        row = self.text[start:end]
        if self.encoding == "utf-32" or row.isascii():
            return start + min(column, len(row))
        codec, width = _CODEC[self.encoding], _WIDTH[self.encoding]
        before = row.encode(codec, "surrogatepass")[: column * width]
        return start + len(before.decode(codec, "ignore"))

    def _units(self, text: str) -> int:
        if self.encoding == "utf-32" or text.isascii():
            return len(text)
        return len(text.encode(_CODEC[self.encoding], "surrogatepass")) // _WIDTH[self.encoding]
