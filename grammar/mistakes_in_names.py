"""Words of the language as names, and capitals."""

from __future__ import annotations

from .diagnostics import Diagnostic, rewrite
from .fault import Fault, Outcome, Repair
from .layout import CLOSERS
from .lexer import keywords
from .tokens import NEWLINE, WRONG, Token


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
