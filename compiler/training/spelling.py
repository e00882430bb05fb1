"""Numbers of a spec as Python text in a recipe, which knows no constants: by value, spelled as they were written."""

from __future__ import annotations

import re
from fractions import Fraction

from ..semantics.arithmetic import spell
from ..semantics.number import Literal, Number, Operation, Reference, is_whole, spelled, whole

_PYTHON = re.compile(r"(0|[1-9][0-9]*(_[0-9]+)*|[0-9]+(_[0-9]+)*\.[0-9]+)(e[+-]?[0-9]+)?")


def real_text(n: Number) -> str:
    """`3e-3` stays `3e-3`, `5%` is 0.05, a constant is its number, `0.1 * peak` is worked out where it has a short
    decimal spelling, and stays a formula (`2.0 * (512 * 4_000) ** -0.5`) where it has none."""
    match n:
        case Literal(text=text) if _PYTHON.fullmatch(text.lower()):
            return text.lower()
        case Reference(target=target) if target is not None:
            return real_text(target)
        case Operation() if not _is_decimal(n):
            return spelled(n, lambda reference: real_text(reference.target or reference), python=True)
    return value_text(n)


def value_text(n: Number) -> str:
    """The number itself, however it is written: `0.5` for 50%."""
    assert n.value is not None
    return spell(n.value)


def variable(name: str) -> str:
    """A name with a number in it, as Python takes it: `f1_above_0_5`."""
    return name.replace(".", "_").replace("-", "minus_")


def whole_text(n: Number) -> str:
    """`50_257` stays so; what was computed is grouped from five digits on."""
    match n:
        case Literal(text=text) if _PYTHON.fullmatch(text) and text.replace("_", "").isdigit():
            return text
        case Reference(target=target) if target is not None:
            return whole_text(target)
    return grouped(whole(n))


def grouped(n: int) -> str:
    return f"{n:_}" if abs(n) >= 10_000 else str(n)


def is_plain(text: str) -> bool:
    """Whether the text is one number, which may be written again and again in a formula."""
    return _PYTHON.fullmatch(text) is not None


def _is_decimal(n: Number) -> bool:
    """Whether the value has a spelling of a few digits that says it exactly."""
    if is_whole(n):
        return True
    return isinstance(n.value, Fraction) and Fraction(spell(n.value)) == n.value and len(spell(n.value)) <= 12
