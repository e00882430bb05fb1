"""Words of the language as names, capitals, words of other languages."""

from __future__ import annotations

from .diagnostics import Diagnostic, Fix, rewrite
from .fault import Fault, Outcome, Repair
from .layout import CLOSERS
from .lexer import keywords
from .tokens import NEWLINE, WRONG, Token

_LOGIC = {
    "and": "write `b if a else false` for `a and b`",
    "or": "write `true if a else b` for `a or b`",
    "not": "`a == false` turns a choice round",
    "is": "two values are compared with `==`",
    "in": "two values are compared with `==`",
}


def already_reported(fault: Fault) -> Outcome | None:
    """What the lexer, the brackets or the layout of lines have spoken about."""
    token = fault.token
    if token.kind == WRONG:
        drop = Repair(skip=1)
        return None, drop if fault.fits(drop) else None
    put_in = (not token.text and token.kind in CLOSERS) or (fault.place and not fault.before.text)
    led_by_minus = fault.head.kind == "-" and fault.stream[fault.start - 1].kind == NEWLINE
    return (None, None) if put_in or led_by_minus else None


def capital_word(fault: Fault) -> Outcome | None:
    """`Model N: ...`."""
    token, word = fault.token, fault.token.text.lower()
    if fault.place or token.kind != "TYPE" or word not in keywords():
        return None
    repair = fault.instead(word)
    if not fault.fits(repair, 2):
        return None
    message, label = f"no line begins with `{token.text}`", "the words of the language are in small letters"
    return rewrite("misspelt-word", message, fault.span(), label, word), repair


def reserved_word(fault: Fault) -> Outcome | None:
    for back, token in ((0, fault.token), (1, fault.raw(1) if fault.place == 1 else None)):
        if token is None or token.kind not in keywords():
            continue
        repair = fault.instead("NAME", back)
        if fault.fits(repair):
            message = f"`{token.text}` is a word of the language and cannot be a name"
            return rewrite("reserved-word", message, fault.span(token), "reserved", f"{token.text}_"), repair
    return None


def wrong_case(fault: Fault) -> Outcome | None:
    for back, token in ((0, fault.token), (1, fault.raw(1))):
        if token is None or token.kind not in ("NAME", "TYPE"):
            continue
        capital = token.kind == "NAME"
        repair = fault.instead("TYPE" if capital else "NAME", back)
        better = _capital(token.text) if capital else _small(token.text)
        if (back or not fault.takes(token.kind)) and better and fault.fits(repair, 1 + back):
            return _wrong_case(fault, token, better), repair
    return None


def _wrong_case(fault: Fault, token: Token, better: str) -> Diagnostic:
    if better[0].isupper():
        message, label = "blocks and models have names with a capital first letter", "a small first letter"
    else:
        message, label = "only layers, blocks, models and dims have a capital first letter", "a capital first letter"
    return rewrite("wrong-case", message, fault.span(token), label, better)


def _capital(name: str) -> str:
    """`res_block` as `ResBlock`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _small(name: str) -> str:
    """`ResBlock` as `res_block`, `QKV` as `qkv`."""
    if name.isupper():
        return name.lower()
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_").replace("__", "_")


def _chosen_twice(fault: Fault, word: Token) -> tuple[Fix, ...]:
    """`f(x) = a if p and q else b` with one choice in another: conditions of functions are comparisons."""
    stream, text = fault.stream, fault.source.text
    line = stream[fault.start :]
    line = line[: next((i for i, token in enumerate(line) if token.kind == NEWLINE), len(line))]
    kinds = [token.kind for token in line]
    if kinds[:2] != ["NAME", "("] or any(kinds.count(kind) != 1 for kind in ("=", "if", "else")):
        return ()
    if word.text not in ("and", "or") or sum(token.text in _LOGIC for token in line) != 1:
        return ()
    equals, if_, else_ = (line[kinds.index(kind)] for kind in ("=", "if", "else"))
    then, left = text[equals.end : if_.start].strip(), text[if_.end : word.start].strip()
    right, otherwise = text[word.end : else_.start].strip(), text[else_.end : line[-1].end].strip()
    if not all(map(_is_closed, (then, left, right, otherwise))):
        return ()
    ways = {
        "and": f"({then} if {right} else {otherwise}) if {left} else {otherwise}",
        "or": f"{then} if {left} else ({then} if {right} else {otherwise})",
    }
    return (Fix(fault.source.span(equals.end, line[-1].end), f" {ways[word.text]}"),)


def _is_closed(text: str) -> bool:
    return text.count("(") == text.count(")")


def _in_our_logic(fault: Fault, word: Token) -> tuple[Fix, ...]:
    """The condition between `if` and `else` as it is written here, where it has the one word of logic."""
    stream = fault.stream
    at = next(i for i in range(fault.start, len(stream)) if stream[i] is word)
    first = next((i for i in range(at - 1, fault.start - 1, -1) if stream[i].kind == "if"), None)
    last = next((i for i in range(at + 1, len(stream)) if stream[i].kind in ("else", NEWLINE)), len(stream) - 1)
    if first is None or stream[last].kind != "else":
        return ()
    if any(stream[i].text in _LOGIC for i in range(first, last) if i != at):
        return ()
    text = fault.source.text
    left, right = text[stream[first].end : word.start].strip(), text[word.end : stream[last].start].strip()
    ways = {
        "and": f"({right} if {left} else false)",
        "or": f"(true if {left} else {right})",
        "is": f"{left} == {right}",
    }
    if not _is_closed(left) or not _is_closed(right):
        return ()
    better = f"{right} == false" if word.text == "not" and not left else ways.get(word.text)
    whole = fault.source.span(stream[first].end, stream[last].start)
    return () if better is None else (Fix(whole, f" {better} "),)


def logic_word(fault: Fault) -> Outcome | None:
    for token in (fault.token, fault.before) if fault.place else (fault.token,):
        if token.kind == "NAME" and token.text in _LOGIC:
            message = f"`{token.text}` is not a word of this language"
            fixes = _chosen_twice(fault, token) or _in_our_logic(fault, token)
            help_ = f"write `{fixes[0].text.strip()}`" if fixes else _LOGIC[token.text]
            return Diagnostic("foreign-word", message, fault.span(token), "here", help=help_, fixes=fixes), None
    return None
