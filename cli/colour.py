"""Messages in colour, for terminals."""

from __future__ import annotations

import re

_COLOURS = {"error": "31", "warning": "33", "note": "36"}
_HEAD = re.compile(r"^(error|warning|note)(: .*)$", re.MULTILINE)
_CARET = re.compile(r"^( +\| +)(\^+.*)$", re.MULTILINE)
_HELP = re.compile(r"^( *)= help:", re.MULTILINE)


def painted(text: str) -> str:
    """A message of `check` with its severity, its caret and its help set off."""
    text = _HEAD.sub(lambda m: f"\033[1;{_COLOURS[m[1]]}m{m[1]}\033[0;1m{m[2]}\033[0m", text)
    text = _CARET.sub(r"\1\033[1;34m\2\033[0m", text)
    return _HELP.sub(r"\1\033[1m= help:\033[0m", text)
