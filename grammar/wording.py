"""The words for a fault that no rule knows: what stands here, and what could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .diagnostics import Diagnostic
from .tables import END
from .tokens import NEWLINE, Token

if TYPE_CHECKING:
    from .faults import Fault

_KINDS = {
    "NUMBER": "the number",
    "PERCENT": "the number",
    "STRING": "the text",
    "NAME": "the name",
    "TYPE": "the name",
}
_OPERATORS = ("+", "-", "*", "/", "//", "%", "^", "COMPARE", "if")
_SIGNS = ("->", "=", ":", ",", ".", "(", "[", "{", ")", "]", "}", "as", "else")


def piece(token: Token) -> str:
    """A token as a message calls it."""
    if token.kind == NEWLINE:
        return "the end of the line"
    if token.kind == END:
        return "the end of the file"
    return f"`{token.text}`"


def unexpected(fault: Fault) -> Diagnostic:
    token = fault.token
    span = fault.gap() if token.kind in (NEWLINE, END) else fault.span()
    what = f"{_KINDS[token.kind]} {piece(token)}" if token.kind in _KINDS else piece(token)
    after = "" if fault.first else f" after {piece(fault.before)}"
    return Diagnostic(
        "unexpected",
        f"{what} cannot stand here",
        span,
        f"not{after}" if after else "here",
        help=_wanted(fault.wanted()),
    )


def _wanted(kinds: set[str]) -> str:
    """What could stand here, from the most to the least likely."""
    out: list[str] = []
    if "NUMBER" in kinds and "(" in kinds:
        out.append("a value or a stage")
    elif "block" in kinds:
        out.append("an item of the file (`name = ...`, `default`, `block`, `model`, `train`, `export`, `import`)")
    else:
        if "NAME" in kinds and "TYPE" in kinds:
            out.append("a name")
        elif "NAME" in kinds:
            out.append("a name that begins with a small letter")
        elif "TYPE" in kinds:
            out.append("a name that begins with a capital")
        if "STRING" in kinds:
            out.append("a text in quotes")
        if "NUMBER" in kinds:
            out.append("a number")
    if "NUMBER" not in kinds:
        out.extend(f"`{sign}`" for sign in _SIGNS if sign in kinds)
        if any(sign in kinds for sign in _OPERATORS[:-1]):
            out.append("an operator")
    elif "NUMBER" in kinds:
        out.extend(f"`{sign}`" for sign in (")", "]", "}") if sign in kinds)
    if NEWLINE in kinds:
        out.append("the end of the line")
    if not out:
        return ""
    return f"here can stand {', '.join(out[:-1])}{' or ' if len(out) > 1 else ''}{out[-1]}"
