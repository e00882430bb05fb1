"""The kinds of values that a layer's options take.

A check gets what the spec's author wrote, worked out: a `Number`, bool, str (a word or quoted text), None (`none`)
or a recipe. It raises ValueError with what the option takes, worded to follow "`name` takes ...".
"""

from __future__ import annotations

from typing import Annotated, Any

from ..options import Kind
from ..semantics.number import Literal, Number, Operation, Reference, is_whole, number


def _is_number(value: object) -> bool:
    return isinstance(value, Literal | Reference | Operation)


def _coerced(value: object) -> object:
    """Defaults in layer classes are written as plain Python numbers."""
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _whole(low: int, what: str) -> Kind:
    def validate(value: object) -> Number:
        value = _coerced(value)
        if not _is_number(value) or not is_whole(value) or value.value < low:  # type: ignore[arg-type, union-attr, operator]
            raise ValueError(what)
        return value  # type: ignore[return-value]

    return Kind(validate)


def _real(low: float | None, high: float | None, what: str, *, open_low: bool = False) -> Kind:
    def validate(value: object) -> Number:
        value = _coerced(value)
        if not _is_number(value) or value.value is None:  # type: ignore[union-attr]
            raise ValueError(what)
        v = value.value  # type: ignore[union-attr]
        if (low is not None and (v <= low if open_low else v < low)) or (high is not None and v > high):
            raise ValueError(what)
        return value  # type: ignore[return-value]

    return Kind(validate)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _or_none(kind: Kind) -> Kind:
    def validate(value: object) -> Any:
        if value is None:
            return None
        try:
            return kind.check(value)
        except ValueError as error:
            raise ValueError(f"{error} or none") from None

    return Kind(validate)


_POSITIVE = _whole(1, "a whole number of at least 1")
_REAL = _real(None, None, "a number")
_ABOVE_ZERO = _real(0, None, "a number above 0", open_low=True)

Whole = Annotated[Any, _POSITIVE]
WholeOrZero = Annotated[Any, _whole(0, "a whole number of at least 0")]
WholeOrNone = Annotated[Any, _or_none(_POSITIVE)]
Real = Annotated[Any, _REAL]
RealOrNone = Annotated[Any, _or_none(_REAL)]
Positive = Annotated[Any, _ABOVE_ZERO]
PositiveOrNone = Annotated[Any, _or_none(_ABOVE_ZERO)]
NotNegative = Annotated[Any, _real(0, None, "a number of at least 0")]
Probability = Annotated[Any, _real(0, 1, "a number from 0 to 1")]
Flag = Annotated[bool, Kind(_flag)]


def one_of(*words: str | None) -> Kind:
    """The validator of an option that takes one of a few words (None stands for `none`)."""
    listed = [word or "none" for word in words]
    what = f"{', '.join(listed[:-1])} or {listed[-1]}"

    def validate(value: object) -> str | None:
        if not (value is None or isinstance(value, str)) or value not in words:
            raise ValueError(what)
        return value

    return Kind(validate, frozenset(word for word in words if word))


Axis = Annotated[Any, _whole(-64, "the position of an axis, a whole number")]
