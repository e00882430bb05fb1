"""Findings that another finding brings with it are left out: a misspelt word is one mistake, not three.

What is left out is never alone: the finding that it follows from stays, and a spec with a mistake keeps at least one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from .nearest import nearest
from .report import UNKNOWN_NAMES

_MISSING = UNKNOWN_NAMES | {"missing-output"}
_WORD = re.compile(r"\w+")


def without_follow_ups(
    found: Sequence[Diagnostic], spelling: Sequence[Diagnostic], file: tree.File
) -> list[Diagnostic]:
    """`found` less what follows from the rest of it; `spelling` are the parser's own findings among them."""
    broken = [diagnostic for diagnostic in spelling if diagnostic.severity == "error"]
    lost = {word for diagnostic in broken for word in _words_on_its_lines(diagnostic.span)}
    return [d for d in found if d in broken or not _follows(d, found, broken, lost, file)]


def _follows(
    finding: Diagnostic, found: Sequence[Diagnostic], broken: Sequence[Diagnostic], lost: set[str], file: tree.File
) -> bool:
    word = _word(finding)
    if finding.code in _MISSING | {"unused-name"} and word in lost:
        return True  # what stands on a line that could not be read may have been given or used there
    beside = [d for d in found if d is not finding and _item(d.span, file) is _item(finding.span, file)]
    match finding.code:
        case "unused-name" if finding.severity == "error":
            return any(d.code in _MISSING and nearest(_word(d), [word]) for d in beside)
        case "lost-value":
            unused = {f"`{_word(d)}` flows" for d in beside if d.code == "unused-name"}
            return any(d in broken for d in beside) or finding.message.startswith(tuple(unused))
    return False


def _word(finding: Diagnostic) -> str:
    """The name that a finding is about stands where its span begins."""
    found = _WORD.match(finding.span.text)
    return found[0] if found else ""


def _words_on_its_lines(span: Span) -> list[str]:
    text = span.source.text
    start = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.end)
    return _WORD.findall(text[start : end if end >= 0 else len(text)])


def _item(span: Span, file: tree.File) -> tree.Item | None:
    return next((item for item in file.items if item.span.start <= span.start < item.span.end), None)
