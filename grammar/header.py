"""The first line of a spec: the version of the language."""

from __future__ import annotations

from . import tree
from .diagnostics import Diagnostic, Fix, rewrite
from .layout import CLOSERS, OPENERS
from .source import Source
from .tokens import NEWLINE, Token

VERSION = "1"


def read_header(source: Source, stream: list[Token]) -> tuple[list[Token], tree.Number | None, list[Diagnostic]]:
    """The tokens with `dlspec 1` in front of the rest, the version that is written, and what is wrong with it."""
    first = 1 if stream[0].kind == NEWLINE else 0
    if _is_misspelt(stream[first : first + 3]):
        word = stream[first]
        stream[first] = Token("dlspec", word.text, word.start, word.end)
        stream, version, findings = read_header(source, stream)
        message, label = "the first word of a spec is `dlspec`", "not a word of the language"
        misspelt = rewrite("misspelt-word", message, source.span(word.start, word.end), label, "dlspec")
        return stream, version, [misspelt, *findings]
    if stream[first].kind != "dlspec":
        place = 1 if source.text.startswith("\ufeff") else 0
        return _with_header(place, stream[first:]), None, [_missing(source, place)]
    end = _end(source, stream, first)
    written = stream[first + 1 : end]
    if len(written) == 1 and written[0].kind == "NUMBER" and written[0].text == VERSION:
        token = written[0]
        version = tree.Number(token.text, int(token.text), span=source.span(token.start, token.end))
        if stream[end].kind != NEWLINE:
            stream.insert(end, Token(NEWLINE, "", token.end, token.end))
        return stream, version, []
    last = stream[end - 1]
    span = source.span(written[0].start if written else last.start, last.end)
    whole = source.span(stream[first].start, last.end)
    finding = Diagnostic(
        "unknown-version",
        f"the language has version {VERSION} only",
        span,
        "not a version of the language" if written else "no version is named here",
        help=f"write `dlspec {VERSION}`",
        fixes=(Fix(whole, f"dlspec {VERSION}"),),
    )
    return _with_header(whole.start, stream[end + (stream[end].kind == NEWLINE) :]), None, [finding]


def _is_misspelt(line: list[Token]) -> bool:
    """`dlpsec 1`, `DLSpec 1`."""
    if [token.kind for token in line[1:]] != ["NUMBER", NEWLINE] or line[0].kind not in ("NAME", "TYPE"):
        return False
    from difflib import SequenceMatcher  # only a spec with a mistake waits for it

    return SequenceMatcher(None, line[0].text.lower(), "dlspec").ratio() > 0.7


def _end(source: Source, stream: list[Token], first: int) -> int:
    """Where the first line ends: a line that begins with `->` does not go on with it, an open bracket does."""
    line = source.text.find("\n", stream[first].start)
    line = len(source.text) if line < 0 else line
    depth = 0
    for i in range(first, len(stream)):
        kind = stream[i].kind
        if depth == 0 and (kind == NEWLINE or stream[i].start > line):
            return i
        depth += (kind in OPENERS) - (kind in CLOSERS)
    return len(stream) - 1


def _with_header(place: int, rest: list[Token]) -> list[Token]:
    kinds = (("dlspec", ""), ("NUMBER", VERSION), (NEWLINE, ""))
    return [*(Token(kind, text, place, place) for kind, text in kinds), *rest]


def _missing(source: Source, place: int) -> Diagnostic:
    span = source.span(place, place)
    return Diagnostic(
        "missing-header",
        "the first line of a spec says the version of the language",
        span,
        "no version here",
        help=f"write `dlspec {VERSION}` above everything else",
        fixes=(Fix(span, f"dlspec {VERSION}\n"),),
    )
