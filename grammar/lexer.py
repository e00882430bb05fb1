"""Text to tokens. The patterns come from dlspec.lark, by way of tables.json; foreign.py knows what is not ours."""

from __future__ import annotations

import re
from functools import cache

from . import foreign
from .diagnostics import Diagnostic
from .source import Source, Span
from .tables import tables
from .tokens import NEWLINE, WRONG, Token


@cache
def _pattern() -> re.Pattern[str]:
    t = tables()
    signs = sorted((s for s in t.literals if not s[0].isalpha()), key=lambda s: (-len(s), s))
    groups = [
        f"(?P<foreign>{foreign.PATTERN})",
        *(f"(?P<{name}>{pattern})" for name, pattern in t.patterns.items()),
        f"(?P<sign>{'|'.join(map(re.escape, signs))})",
        f"(?P<ignored>{'|'.join(t.ignored)})",
        r'(?P<open>"[^"\n]*)',
        f"(?P<{WRONG}>.)",
    ]
    return re.compile("|".join(groups), re.DOTALL)


@cache
def keywords() -> frozenset[str]:
    return frozenset(word for word in tables().literals if word[0].isalpha())


def tokens(source: Source) -> tuple[list[Token], list[Diagnostic]]:
    """All tokens of a text, with what is foreign to the language replaced by what was meant, and the findings.

    A piece that means nothing here becomes a token of the kind `WRONG`, which no rule takes.
    """
    text, reserved, plain = source.text, keywords(), source.text.isascii()
    out: list[Token] = []
    findings: list[Diagnostic] = []
    brackets: list[str] = []
    resume = 0
    for match in _pattern().finditer(text, 1 if text.startswith("\ufeff") else 0):
        kind = match.lastgroup
        start = match.start()
        if kind == "ignored" or start < resume:
            continue
        word = match.group()
        if kind == "sign":
            if word == "//":
                begins = brackets[-1:] not in (["("], ["["]) and (not out or out[-1].kind == NEWLINE)
                if begins or foreign.is_prose(text, start):
                    resume = foreign.end_of_line(text, start)
                    findings.append(foreign.comment(source, start))
                    continue
            elif word == "-" and foreign.is_prose(text, start):
                resume = foreign.end_of_line(text, start)
                findings.append(foreign.comment(source, start))
                continue
            elif word in ("(", "[", "{"):
                brackets.append(word)
            elif word in (")", "]", "}") and brackets:
                brackets.pop()
            kind = word
        elif kind == "NAME":
            if word in reserved:
                kind = word
            elif not plain and not word.isascii():
                word = foreign.name(source, start, word, findings)
        elif kind == "TYPE":
            if word in foreign.WORDS:
                kind = foreign.word(source, start, word, findings)
            elif not plain and not word.isascii():
                word = foreign.name(source, start, word, findings)
        elif kind == "foreign":
            token = foreign.token(source, start, word, out, findings)
            if token is not None:
                out.append(token)
            continue
        elif kind in ("NUMBER", "PERCENT"):
            if not word.isdecimal() or word[0] == "0" or len(word) > foreign.PLAIN:
                word = foreign.number(source, start, word, findings)
        elif kind == "open":
            out.extend(foreign.open_text(source, start, word, findings))
            continue
        elif kind == WRONG:
            if not (out and out[-1].kind == WRONG and out[-1].end == start):
                findings.append(foreign.character(source, start))
                out.append(Token(WRONG, word, start, match.end()))
            else:
                out[-1] = Token(WRONG, out[-1].text + word, out[-1].start, match.end())
            continue
        assert kind is not None
        out.append(Token(kind, word, start, match.end()))
    return out, findings


def comments(source: Source) -> list[Span]:
    """The comments of a text, without the white space behind them."""
    out: list[Span] = []
    for match in _pattern().finditer(source.text, 1 if source.text.startswith("\ufeff") else 0):
        if match.lastgroup not in (NEWLINE, "ignored"):
            continue
        at = match.start()
        for line in match.group().split("\n"):
            mark = line.find("#")
            if mark >= 0:
                out.append(source.span(at + mark, at + len(line.rstrip())))
            at += len(line) + 1
    return out
