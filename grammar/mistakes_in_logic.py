"""`and`, `or`, `not` and `is` of other languages, written with `if` as they are here."""

from __future__ import annotations

from collections.abc import Sequence

from .diagnostics import Diagnostic, Fix
from .fault import Fault, Outcome
from .layout import CLOSERS, OPENERS
from .source import Source
from .tables import END
from .tokens import NEWLINE, Token

_WORDS = {
    "and": "write `b if a else false` for `a and b`",
    "or": "write `true if a else b` for `a or b`",
    "not": "`a == false` turns a choice round",
    "is": "two values are compared with `==`",
    "in": "two values are compared with `==`",
}
_OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
# Of a longer condition nobody reads what it becomes.
_MOST_WORDS = 20
# What a condition can stand behind, and what can stand behind it.
_BEFORE = frozenset({"if", "(", "[", ",", "="})
_BEHIND = frozenset({"else", ")", "]", ",", NEWLINE, END})
_ENDS = frozenset({"if", "else", ",", "=", "->", ":", "{", "}", NEWLINE, END})


def logic_word(fault: Fault) -> Outcome | None:
    for token in (fault.token, fault.before) if fault.place else (fault.token,):
        if token.kind == "NAME" and token.text in _WORDS:
            message = f"`{token.text}` is not a word of this language"
            fixes = _in_our_logic(fault, token)
            help_ = f"write `{fixes[0].text}`" if fixes else _WORDS[token.text]
            return Diagnostic("foreign-word", message, fault.span(token), "here", help=help_, fixes=fixes), None
    return None


def _in_our_logic(fault: Fault, word: Token) -> tuple[Fix, ...]:
    """The condition around a word of logic as it is written here."""
    stream = fault.stream
    at: int | None = next(i for i in range(fault.start, len(stream)) if stream[i] is word)
    first = last = None
    while at is not None:
        first = _end(stream, range(at - 1, fault.start - 1, -1), OPENERS)
        last = _end(stream, range(at + 1, len(stream)), CLOSERS)
        if first is None or last is None or stream[first].kind not in _BEFORE or stream[last].kind not in _BEHIND:
            return ()
        # `not (a and b)`: what the brackets stand in, too.
        around = (first - 1, last + 1) if stream[first].kind == "(" else ()
        at = next((i for i in around if stream[i].text in ("and", "or", "not")), None)
    assert first is not None and last is not None
    condition = stream[first + 1 : last]
    words = sum(token.text in _WORDS for token in condition)
    better = _written(fault.source, condition) if words <= _MOST_WORDS else None
    if better is None:
        return ()
    alone = (stream[first].kind, stream[last].kind) in (("(", ")"), ("=", NEWLINE), ("=", END))
    better = better if alone or word.text in ("not", "is") else f"({better})"
    return (Fix(fault.source.span(condition[0].start, condition[-1].end), better),)


def _end(stream: Sequence[Token], indices: range, enclosing: dict[str, str]) -> int | None:
    """The first of these tokens that is no part of the condition; `enclosing` are the brackets that end it."""
    depth = 0
    for i in indices:
        kind = stream[i].kind
        if depth == 0 and (kind in enclosing or kind in _ENDS):
            return i
        if kind in OPENERS or kind in CLOSERS:
            depth += -1 if kind in enclosing else 1
    return None


def _written(source: Source, tokens: Sequence[Token]) -> str | None:
    """A condition without the words of logic; None where it is none that can be read so."""
    for word in ("or", "and"):
        left, right = _split(tokens, word)
        if right:
            a, b = _operand(source, left), _operand(source, right)
            if a is None or b is None:
                return None
            return f"true if {a} else {b}" if word == "or" else f"{b} if {a} else false"
    if not tokens:
        return None
    if tokens[0].text == "not":
        return _opposite(source, tokens[1:])
    left, right = _split(tokens, "is")
    if right:
        operator, right = ("!=", right[1:]) if right[0].text == "not" else ("==", right)
        a, b = _written(source, left), _written(source, right)
        return None if a is None or b is None else f"{a} {operator} {b}"
    if tokens[0].kind == "(" and _closing(tokens) == len(tokens) - 1:
        inner = _written(source, tokens[1:-1])
        return None if inner is None else f"({inner})"
    if any(token.text in _WORDS for token in tokens):
        return None
    return source.text[tokens[0].start : tokens[-1].end]


def _operand(source: Source, tokens: Sequence[Token]) -> str | None:
    """A condition that stands in a choice."""
    text = _written(source, tokens)
    is_choice = any(_split(tokens, word)[1] for word in ("or", "and"))
    return f"({text})" if is_choice and text is not None else text


def _opposite(source: Source, tokens: Sequence[Token]) -> str | None:
    text = _written(source, tokens)
    compared = [token for token, depth in _depths(tokens) if token.kind == "COMPARE" and not depth]
    if text is None or not compared or any(token.text in _WORDS for token in tokens):
        return None if text is None or compared else f"{text} == false"
    if len(compared) > 1:
        return None
    (sign,) = compared
    before, behind = source.text[tokens[0].start : sign.start], source.text[sign.end : tokens[-1].end]
    return f"{before}{_OPPOSITES[sign.text]}{behind}"


def _split(tokens: Sequence[Token], word: str) -> tuple[Sequence[Token], Sequence[Token]]:
    """What stands before and behind a word outside brackets; nothing behind where it is not there."""
    for i, (token, depth) in enumerate(_depths(tokens)):
        if not depth and token.kind == "NAME" and token.text == word:
            return tokens[:i], tokens[i + 1 :]
    return tokens, ()


def _depths(tokens: Sequence[Token]) -> list[tuple[Token, int]]:
    """Each token with how many of their brackets are open around it."""
    found, depth = [], 0
    for token in tokens:
        depth -= token.kind in CLOSERS
        found.append((token, depth))
        depth += token.kind in OPENERS
    return found


def _closing(tokens: Sequence[Token]) -> int | None:
    """Where the bracket closes with which they begin."""
    return next((i for i, (token, depth) in enumerate(_depths(tokens)) if i and not depth), None)
