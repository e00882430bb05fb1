"""Brackets that do not match: which one is to blame, told by the layout, and a stream in which they match.

The parser can then rely on matching brackets, and a fault in one line stays in that line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from .diagnostics import Diagnostic, Fix
from .frozen import Frozen
from .layout import CLOSERS, OPENERS
from .source import Source
from .tokens import NEWLINE, VALUES, Token

# Words that only ever begin an item of a file: wherever one begins a line, all brackets should be closed.
_ITEMS = frozenset({"import", "block", "model", "train", "export"})
# Words that begin a line and never stand in parentheses or a list.
_NEVER_INSIDE = _ITEMS | {"default", "phase"}
# More tokens than a line has.
_LINE = 200
_NAMES = frozenset({"NAME", "TYPE", "STRING"})


def balanced(source: Source, stream: list[Token], doubt: bool = False) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens with missing closing brackets put in and surplus ones left out, and a finding for each.

    With `doubt`, brackets that match count as wrong where the layout says so: one that is missing in one line and one
    too many in another make up for each other.
    """
    if not doubt and _match(stream, 0, len(stream)):
        return stream, []
    out: list[Token] = []
    findings: list[Diagnostic] = []
    borders = [0, *_items(stream), len(stream)]
    for start, stop in pairwise(borders):
        if start == stop:
            continue
        repair = _Repair()
        if doubt:
            repair = _by_layout(stream, start, stop)
        elif not _match(stream, start, stop):
            repair = min(_by_layout(stream, start, stop), _by_order(stream, start, stop), key=lambda r: r.faults)
        repair = repair.settled(stream)
        out.extend(repair.tokens(stream, start, stop))
        findings.extend(repair.findings(source, stream))
    return out, findings


def _match(stream: list[Token], start: int, stop: int) -> bool:
    open_: list[str] = []
    for i in range(start, stop):
        kind = stream[i].kind
        if kind in OPENERS:
            open_.append(OPENERS[kind])
        elif kind in CLOSERS:
            if not open_ or open_.pop() != kind:
                return False
        elif kind in _NEVER_INSIDE and open_ and open_[-1] != "}" and stream[i - 1].kind == NEWLINE:
            return False
    return not open_


def _items(stream: list[Token]) -> list[int]:
    """Where the items of the file begin: not one that stands in the body of another."""
    found = {i: _indent(stream[i - 1]) for i in range(1, len(stream)) if _begins_item(stream, i)}
    least = min(found.values(), default=0)
    return [i for i, indent in found.items() if indent == least]


def _begins_item(stream: list[Token], i: int) -> bool:
    return (
        stream[i].kind in _ITEMS
        and stream[i - 1].kind == NEWLINE
        and i + 1 < len(stream)
        and stream[i + 1].kind in _NAMES
    )


@dataclass
class _Repair:
    unclosed: list[tuple[int, int]] = field(default_factory=list)  # an opener, and the token before which to close it
    surplus: list[int] = field(default_factory=list)
    swapped: list[tuple[int, int]] = field(default_factory=list)  # an opener, and a closer of another kind

    @property
    def faults(self) -> int:
        return len(self.unclosed) + len(self.surplus) + len(self.swapped)

    def tokens(self, stream: list[Token], start: int, stop: int) -> list[Token]:
        closers: dict[int, list[int]] = {}
        for opener, before in self.unclosed:
            closers.setdefault(before, []).append(opener)
        surplus, swapped = set(self.surplus), {closer: opener for opener, closer in self.swapped}
        out: list[Token] = []
        for i in range(start, stop + 1):
            # Of two that are closed at the same place, the later opened comes first.
            for opener in sorted(closers.get(i, ()), reverse=True):
                place = out[-1].end if out else stream[opener].end
                out.append(Token(OPENERS[stream[opener].kind], "", place, place))
            if i == stop or i in surplus:
                continue
            token = stream[i]
            if i in swapped:
                token = Token(OPENERS[stream[swapped[i]].kind], token.text, token.start, token.end)
            out.append(token)
        return out

    def settled(self, stream: list[Token]) -> _Repair:
        """The same, with parentheses closed where they are likeliest to end."""
        self.unclosed = [(opener, _likely_end(stream, opener, before)) for opener, before in self.unclosed]
        return self

    def findings(self, source: Source, stream: list[Token]) -> list[Diagnostic]:
        return [
            *(_unclosed(source, stream, opener, before) for opener, before in self.unclosed),
            *(_surplus(source, stream[i]) for i in self.surplus),
            *(_swapped(source, stream[opener], stream[closer]) for opener, closer in self.swapped),
        ]


class _Open(Frozen):
    index: int
    kind: str
    line: int
    indents: tuple[int, int]  # of the statement and of the line in which it stands


class _Stack(list[_Open]):
    """The brackets that are open, and how many of each kind, so that no closer has to look for its own."""

    def __init__(self) -> None:
        self.kinds = dict.fromkeys(OPENERS, 0)

    def push(self, opener: _Open) -> None:
        self.append(opener)
        self.kinds[opener.kind] += 1

    def take(self) -> int:
        """The index of the innermost one, which is open no longer."""
        opener = self.pop()
        self.kinds[opener.kind] -= 1
        return opener.index


def _by_order(stream: list[Token], start: int, stop: int) -> _Repair:
    """Only the order of the brackets counts: what is left open at the end is to blame."""
    repair, open_ = _Repair(), _Stack()
    for i in range(start, stop):
        kind = stream[i].kind
        if kind in OPENERS:
            open_.push(_Open(i, kind, 0, (0, 0)))
        elif kind in CLOSERS:
            _close(stream, i, open_, repair)
    end = _last(stream, start, stop)
    repair.unclosed.extend((opener.index, end) for opener in reversed(open_))
    return repair


def _close(stream: list[Token], i: int, open_: _Stack, repair: _Repair) -> None:
    """Takes the opener of the closer at `i` off the stack, and what was left open above it."""
    wanted = CLOSERS[stream[i].kind]
    if open_.kinds[wanted]:
        while open_[-1].kind != wanted:
            repair.unclosed.append((open_.take(), i))
        open_.take()
    elif open_ and wanted != "{" and open_[-1].kind != "{":
        repair.swapped.append((open_.take(), i))
    else:
        repair.surplus.append(i)


def _by_layout(stream: list[Token], start: int, stop: int) -> _Repair:
    """The indentation counts too: a line no deeper than the one that opened a bracket comes after its end."""
    repair, open_ = _Repair(), _Stack()
    line, statement, indent = 0, 0, 0
    begins = True
    for i in range(start, stop):
        token = stream[i]
        if token.kind == NEWLINE:
            line, begins, indent = line + 1, True, _indent(token)
            continue
        if begins:
            ends = token.kind in CLOSERS
            while open_ and indent <= open_[-1].indents[0] and not (ends and indent in open_[-1].indents):
                repair.unclosed.append((open_.take(), i - 1))
            if not (open_ and open_[-1].kind != "{") and token.kind != "->":
                statement = indent
        if token.kind in OPENERS:
            open_.push(_Open(i, token.kind, line, (statement, indent)))
        elif token.kind in CLOSERS:
            top = open_[-1] if open_ else None
            deeper = begins and top is not None and indent > max(top.indents)
            trailing = not begins and top is not None and top.kind == "{" and _ends_line(stream, top.index)
            if top is not None and token.kind == "}" and (deeper or (trailing and top.line < line)):
                repair.surplus.append(i)
            else:
                _close(stream, i, open_, repair)
        begins = False
    repair.unclosed.extend(_closed_at_the_end(stream, open_, _last(stream, start, stop)))
    return repair


def _closed_at_the_end(stream: list[Token], open_: _Stack, end: int) -> Iterator[tuple[int, int]]:
    """What is open at the end, and before which token to close it.

    That is the end for braces. A bracket of another kind closes with its line, a head's before the brace of its body.
    """
    place = at = end
    for opener in reversed(open_):
        for i in range(at - 1, opener.index, -1):
            if stream[i].kind == NEWLINE or (stream[i].kind == "{" and _ends_line(stream, i)):
                place = i
        at = opener.index + 1
        yield opener.index, end if opener.kind == "{" else place


def _likely_end(stream: list[Token], opener: int, before: int) -> int:
    """Before which token to close a bracket that may be closed before `before` at the latest.

    Few arguments are chains of stages, but for those with a name: `Linear(64 -> relu` was to be `Linear(64) -> relu`.
    Braces belong to the function before the bracket: `repeat(4 { ... }`.
    """
    depth, named = 0, False
    for i in range(opener + 1, min(before, opener + _LINE) if stream[opener].kind == "(" else opener):
        kind = stream[i].kind
        if depth == 0:
            ends = kind == "as" or (kind == "{" and stream[opener - 1].kind == "NAME")
            if ends or (kind == "->" and (not named or stream[i - 1].kind in VALUES)):
                return i
        if kind in (",", "=") and depth == 0:
            named = kind == "="
        depth += (kind in OPENERS) - (kind in CLOSERS)
    return before


def _indent(newline: Token) -> int:
    return len(newline.text) - newline.text.rfind("\n") - 1


def _ends_line(stream: list[Token], i: int) -> bool:
    return i + 1 < len(stream) and stream[i + 1].kind == NEWLINE


def _last(stream: list[Token], start: int, stop: int) -> int:
    """After the last token of a stretch that is not a newline."""
    while stop > start + 1 and stream[stop - 1].kind == NEWLINE:
        stop -= 1
    return stop


def _unclosed(source: Source, stream: list[Token], opener: int, before: int) -> Diagnostic:
    token = stream[opener]
    closer, span = OPENERS[token.kind], source.span(token.start, token.end)
    last = next(stream[i] for i in range(before - 1, opener - 1, -1) if stream[i].kind != NEWLINE)
    gap = source.span(last.end, last.end)
    if token.kind == "{" and source.position(last.end)[0] > span.line:
        line = source.line(span.line)
        text = f"\n{line[: len(line) - len(line.lstrip())]}}}"
        help_ = f"write `}}` below line {gap.line}"
    else:
        text, help_ = closer, f"write `{closer}` behind `{last.text}`"
    message, label = f"this `{token.kind}` is never closed", f"no `{closer}` belongs to it"
    return Diagnostic("unclosed-bracket", message, span, label, help=help_, fixes=(Fix(gap, text),))


def _surplus(source: Source, token: Token) -> Diagnostic:
    span = source.span(token.start, token.end)
    message, label = f"this `{token.kind}` closes nothing", f"no `{CLOSERS[token.kind]}` is open here"
    return Diagnostic("extra-bracket", message, span, label, help="leave it out", fixes=(Fix(span, ""),))


def _swapped(source: Source, opener: Token, closer: Token) -> Diagnostic:
    span, meant = source.span(closer.start, closer.end), OPENERS[opener.kind]
    return Diagnostic(
        "mismatched-bracket",
        f"`{opener.kind}` is closed by `{meant}`, not by `{closer.kind}`",
        span,
        "closes",
        ((source.span(opener.start, opener.end), "opens"),),
        help=f"write `{meant}`",
        fixes=(Fix(span, meant),),
    )
