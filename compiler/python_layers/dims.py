"""The dims that a shape rule works with: whole numbers where they are known, else what behaves like one.

A rule may add, subtract, multiply and divide an open dim, and compare where the answer is the same for every length.
"""

from __future__ import annotations

from typing import Any

from ..semantics.number import Number, divides, equal, number, operation, polynomial, whole, written


class OpenDimError(Exception):
    """A shape rule asks what only the run time can say."""


class KnownDim(int):
    """A dim that is known: a plain whole number, which also remembers how the spec wrote it."""

    written: Number

    def __new__(cls, n: Number) -> KnownDim:
        dim = super().__new__(cls, whole(n))
        dim.written = n
        return dim


class OpenDim:
    """A dim that is open until run time, such as `T`, or what was worked out from it."""

    def __init__(self, n: Number) -> None:
        self.number = n

    def __repr__(self) -> str:
        return written(self.number)

    __hash__ = None  # type: ignore[assignment]  two of one length may be written otherwise

    # --- arithmetic ---

    def __add__(self, other: object) -> Any:
        return _worked_out("+", self, other)

    def __radd__(self, other: object) -> Any:
        return _worked_out("+", other, self)

    def __sub__(self, other: object) -> Any:
        return _worked_out("-", self, other)

    def __rsub__(self, other: object) -> Any:
        return _worked_out("-", other, self)

    def __mul__(self, other: object) -> Any:
        return _worked_out("*", self, other)

    def __rmul__(self, other: object) -> Any:
        return _worked_out("*", other, self)

    def __floordiv__(self, other: object) -> Any:
        return _worked_out("//", self, other)

    def __rfloordiv__(self, other: object) -> Any:
        return _worked_out("//", other, self)

    def __neg__(self) -> Any:
        return _worked_out("*", -1, self)

    def __mod__(self, other: object) -> Any:
        divisor = as_number(other)
        return 0 if divisor is not None and divides(divisor, self.number) else _worked_out("%", self, other)

    def __truediv__(self, other: object) -> Any:
        divisor = as_number(other)
        if divisor is None or not divides(divisor, self.number):
            raise OpenDimError(f"whether {self} / {other} is whole is known only at run time: `//` rounds down")
        return _worked_out("/", self, other)

    # --- comparison ---

    def __eq__(self, other: object) -> bool:
        return self._difference(other, "==") == 0

    def __ne__(self, other: object) -> bool:
        return self._difference(other, "!=") != 0

    def __lt__(self, other: object) -> bool:
        return self._difference(other, "<") < 0

    def __le__(self, other: object) -> bool:
        return self._difference(other, "<=") <= 0

    def __gt__(self, other: object) -> bool:
        return self._difference(other, ">") > 0

    def __ge__(self, other: object) -> bool:
        return self._difference(other, ">=") >= 0

    def __bool__(self) -> bool:
        return self._difference(0, "!=") != 0

    def __index__(self) -> int:
        raise OpenDimError(f"how long {self} is is known only at run time")

    __int__ = __float__ = __index__

    def _difference(self, other: object, operator: str) -> Any:
        n = as_number(other)
        if n is None:
            return float("nan")  # a dim is neither equal to nor larger than what is no number
        if equal(self.number, n):
            return 0
        terms = polynomial(operation("-", self.number, n))
        if set(terms) <= {()}:
            return terms[()]
        raise OpenDimError(f"whether {self} {operator} {other} is known only at run time")


def as_dim(n: Number) -> KnownDim | OpenDim:
    return OpenDim(n) if n.value is None else KnownDim(n)


def as_number(dim: object) -> Number | None:
    """A dim of a shape rule as the compiler has it; None for what is no dim."""
    match dim:
        case KnownDim():
            return dim.written
        case OpenDim():
            return dim.number
        case bool():
            return None
        case int() | float() if dim == dim // 1:
            return number(int(dim))
    return None


def _worked_out(operator: str, a: object, b: object) -> Any:
    left, right = as_number(a), as_number(b)
    if left is None or right is None:
        return NotImplemented
    return as_dim(operation(operator, left, right))
