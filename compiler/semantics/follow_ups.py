"""Findings that another finding brings with it are left out: a misspelt word is one mistake, not three.

What is left out is never alone: the finding that it follows from stays, and a spec with a mistake keeps at least one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from .nearest import nearest
from .report import UNKNOWN_NAMES

_MISSING = UNKNOWN_NAMES | {"missing-output"}
_WORD = re.compile(r"\w+")
_EQUALS = re.compile(r"[ \t]*=[^=]")


def without_follow_ups(
    found: Sequence[Diagnostic], spelling: Sequence[Diagnostic], file: tree.File
) -> list[Diagnostic]:
    """`found` less what follows from the rest of it; `spelling` are the parser's own findings among them."""
    own = set(spelling)
    told = {d.span for d in own}
    unread = _Stretches(file.unread)
    # What stands on a line that could not be read may have been given or used there.
    lost = {word for span in file.unread for word in _WORD.findall(span.text)}
    items = _Stretches(item.span for item in file.items)
    misspelt = _meant_elsewhere(found, items)
    unused = {(items.around(d.span), _word(d)) for d in found if d.code == "unused-name"}
    not_run = {items.around(d.span) for d in found if d.code in ("unused-name", "repeated-name") and _names_a_flow(d)}

    def follows(finding: Diagnostic) -> bool:
        if finding in own:
            return False
        if unread.around(finding.span) is not None or finding.span in told:
            return True
        item, word = items.around(finding.span), _word(finding)
        match finding.code:
            case "unused-name":
                return word in lost or (finding.severity == "error" and (item, word) in misspelt)
            case "shape-mismatch":
                return item in not_run and "is promised as" in finding.message
            case "empty-body":
                return any(finding.span.start <= span.start <= finding.span.end for span in file.unread)
            case "lost-value":
                return any(finding.message.startswith(f"`{name}` flows") for at, name in unused if at == item)
        return finding.code in _MISSING and word in lost

    return [d for d in found if not follows(d)]


def _meant_elsewhere(found: Sequence[Diagnostic], items: _Stretches) -> set[tuple[int | None, str]]:
    """Names that nothing uses, by their items, where a name that is missing there is near to theirs."""
    unused: dict[int | None, set[str]] = {}
    for d in found:
        if d.code == "unused-name":
            unused.setdefault(items.around(d.span), set()).add(_word(d))
    meant: set[tuple[int | None, str]] = set()
    for d in found:
        item = items.around(d.span)
        if d.code in _MISSING and item in unused and (name := nearest(_word(d), unused[item])) is not None:
            meant.add((item, name))
    return meant


def _names_a_flow(finding: Diagnostic) -> bool:
    """Whether a finding is about the name of a line `name = flow`, which does not run then."""
    span = finding.span
    return finding.severity == "error" and _EQUALS.match(span.source.text, span.end) is not None


def _word(finding: Diagnostic) -> str:
    """The name that a finding is about stands where its span begins."""
    found = _WORD.match(finding.span.text)
    return found[0] if found else ""


class _Stretches:
    """Stretches of text that do not overlap, or lie in each other, by their beginnings."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = sorted(spans, key=lambda span: (span.start, -span.end))
        self.starts = [span.start for span in self.spans]

    def around(self, place: Span) -> int | None:
        """The number of the stretch in which a place begins."""
        i = bisect_right(self.starts, place.start) - 1
        return i if i >= 0 and place.start < self.spans[i].end else None
