"""Numbers that remember how they were written, and dims that are still open.

`4 * dim` is an `Operation` over a `Literal` and a `Reference`; its value is 3072 where `dim` is 768, and it is
printed as it was written, in messages and in emitted code. A dim that is known only at run time (`T`) has no value;
two such numbers are equal where their polynomials over the open dims are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, reduce
from typing import Literal as Choice
from typing import TypeAlias

from .arithmetic import MATHS, OPERATIONS, NumberError, Value, apply, exact_value, spell, too_large

# A polynomial over atoms: {monomial: coefficient}, a monomial being a sorted tuple of atoms.
Polynomial: TypeAlias = Mapping[tuple["Atom", ...], Fraction]


@dataclass(frozen=True)
class Atom:
    """An open dim, or an operation on open dims that no polynomial can say (`T // 2`)."""

    name: str
    key: object = field(default=None, compare=True)

    def __lt__(self, other: Atom) -> bool:
        return (self.name, repr(self.key)) < (other.name, repr(other.key))


@dataclass(frozen=True)
class Literal:
    """A number as it was spelled: `50_257`, `1e-4`, `5%`."""

    text: str
    value: Value

    @property
    def open(self) -> bool:
        return False


@dataclass(frozen=True)
class Reference:
    """A name that stands for a number.

    `kind` says where it lives: a constant of the file, a parameter of a block, an input's dim of a block, the index of
    a `repeat`, or an open dim of the model. `owner` tells apart equal names of different places; `target` is what the
    caller gave, in the caller's terms (None for open dims); `least` and `most` are the smallest and the largest value
    that an open dim may take (`2 <= T <= context`), None where the inputs say nothing; `place` counts the parameters of
    a block.
    """

    name: str
    kind: Choice["constant", "parameter", "dim", "index", "open"]
    owner: object = None
    target: Number | None = field(default=None, compare=False)
    least: Number | None = field(default=None, compare=False)
    most: Number | None = field(default=None, compare=False)
    place: int = field(default=0, compare=False)

    @cached_property
    def value(self) -> Value | None:
        return None if self.target is None else self.target.value

    @cached_property
    def open(self) -> bool:
        return self.target is None or self.target.open


@dataclass(frozen=True)
class Operation:
    """`operator` is one of + - * / // % ^, `neg`, a comparison, or the name of a mathematical function."""

    operator: str
    operands: tuple[Number, ...]

    @cached_property
    def value(self) -> Value | None:
        values = [operand.value for operand in self.operands]
        return None if any(v is None for v in values) else apply(self.operator, *values)  # type: ignore[arg-type]

    @cached_property
    def open(self) -> bool:
        return any(operand.open for operand in self.operands)


Number: TypeAlias = Literal | Reference | Operation


def number(value: int | float | Fraction) -> Literal:
    """A number that nobody wrote, such as the width that `flatten` finds."""
    exact = value if isinstance(value, Fraction) else exact_value(value)
    return Literal(spell(exact), exact)


def is_whole(n: Number) -> bool:
    return isinstance(n.value, Fraction) and n.value.denominator == 1


def whole(n: Number) -> int:
    """The value of a whole number."""
    assert isinstance(n.value, Fraction)
    assert n.value.denominator == 1
    return n.value.numerator


def real(n: Number) -> float:
    assert n.value is not None
    return float(n.value)


def operation(operator: str, *operands: Number) -> Operation:
    """An operation as it is written. Raises NumberError, also where the result is the first to be too large: numbers
    that are made of one another from line to line end there. (The sizes that layers make of others have no bound.)"""
    result = Operation(operator, operands)
    if too_large(result.value) and not any(too_large(operand.value) for operand in operands):
        raise NumberError(f"the result of {operator} is too large")
    return result


# --- comparing open numbers ------------------------------------------------------------------------------------


def polynomial(n: Number) -> Polynomial:
    """The number as a polynomial over open dims; a known number is its constant term."""
    value = n.value
    if value is not None:
        return {(): Fraction(value)} if value else {}
    match n:
        case Reference(target=None):
            return {(Atom(n.name, n.owner),): Fraction(1)}
        case Reference(target=target):
            assert target is not None
            return polynomial(target)
        case Operation("+", (a, b)):
            return _sum(polynomial(a), polynomial(b))
        case Operation("-", (a, b)):
            return _sum(polynomial(a), _scaled(polynomial(b), Fraction(-1)))
        case Operation("neg", (a,)):
            return _scaled(polynomial(a), Fraction(-1))
        case Operation("*", (a, b)):
            return _product(polynomial(a), polynomial(b))
        case Operation("/", (a, b)) if b.value:
            return _scaled(polynomial(a), 1 / Fraction(b.value))
        case Operation("^", (a, b)) if b.value is not None and b.value == int(b.value) and 0 <= b.value <= 8:
            result: Polynomial = {(): Fraction(1)}
            for _ in range(int(b.value)):
                result = _product(result, polynomial(a))
            return result
        case Operation("//", (a, b)) if b.value and isinstance(b.value, Fraction):
            return _floor_division(polynomial(a), b.value)
        case Operation("floor" | "ceil" as operator, (a,)) if (parts := _over_whole(polynomial(a))) is not None:
            over, divisor = parts
            up = divisor - 1 if operator == "ceil" else Fraction(0)
            return _floor_division(_sum(over, _constant(up)), divisor)
        case Operation(operator, operands):
            key = tuple(tuple(sorted(polynomial(o).items())) for o in operands)
            return {(Atom(operator, key),): Fraction(1)}
    raise AssertionError(n)


def _over_whole(p: Polynomial) -> tuple[Polynomial, Fraction] | None:
    """`H / 2 + 1` as `H + 2` over 2: a whole polynomial over a whole number; None where a name in it may be no whole
    number."""
    if any(atom.name in OPERATIONS and atom.name != "//" for monomial in p for atom in monomial):
        return None
    divisor = Fraction(math.lcm(*(c.denominator for c in p.values())))
    return _scaled(p, divisor), divisor


def _floor_division(p: Polynomial, divisor: Fraction) -> Polynomial:
    """`p // divisor`: what certainly divides leaves the brackets, `(16 * H - 1) // 2` is `8 * H - 1`.

    A floor of a floor is one: `(H // 2 + 1) // 2` is `(H + 2) // 4`.
    """
    whole = {m: c for m, c in p.items() if m and (c / divisor).denominator == 1}
    rest = {m: c for m, c in p.items() if m not in whole}
    if set(rest) <= {()}:
        return _sum(_scaled(whole, 1 / divisor), _constant(Fraction(math.floor(rest.get((), Fraction(0)) / divisor))))
    added = rest.get((), Fraction(0))
    match [(m, c) for m, c in rest.items() if m]:
        case [((Atom("//", (inner, step)),), 1)] if all(n.denominator == 1 for n in (added, step, divisor)):
            below = _sum(dict(inner), _constant(added * step))
            return _sum(_scaled(whole, 1 / divisor), _floor_division(below, step * divisor))
    # What remains is kept small, so that two ways of saying one length are equal: 0 <= its constant < divisor.
    over = Fraction(math.floor(rest.get((), Fraction(0)) / divisor))
    rest = _sum(rest, _constant(-over * divisor))
    atom = Atom("//", (tuple(sorted(rest.items())), divisor))
    return _sum(_sum(_scaled(whole, 1 / divisor), _constant(over)), {(atom,): Fraction(1)})


def _constant(value: Fraction) -> Polynomial:
    return {(): value} if value else {}


def equal(a: Number, b: Number) -> bool:
    """Whether two numbers are the same whatever the open dims turn out to be."""
    if a.value is not None and b.value is not None:
        return a.value == b.value
    return polynomial(a) == polynomial(b)


def divides(divisor: Number, n: Number) -> bool:
    """Whether `n / divisor` is certainly whole, given that the open dims are whole numbers."""
    if not divisor.value:
        return False
    return _divides(polynomial(n), Fraction(divisor.value))


def product(numbers: Iterator[Number] | list[Number] | tuple[Number, ...]) -> Number:
    """The product, known factors folded into one literal where there are several."""
    known, open_ = Fraction(1), None
    factors = list(numbers)
    if len(factors) == 1:
        return factors[0]
    if all(isinstance(f.value, Fraction) for f in factors) and all(isinstance(f, Literal) for f in factors):
        for factor in factors:
            assert isinstance(factor.value, Fraction)
            known *= factor.value
        return number(known)
    for factor in factors:
        if isinstance(factor, Literal) and factor.value == 1:
            continue
        open_ = factor if open_ is None else Operation("*", (open_, factor))
    return open_ or number(1)


def total(numbers: Iterable[Number]) -> Number:
    """The sum: plain numbers are added up, and what comes again is counted, `64 + 2 * growth`."""
    first, *parts = numbers
    return reduce(_plus, parts, first)


def _plus(a: Number, b: Number) -> Number:
    rest, last = a.operands if isinstance(a, Operation) and a.operator == "+" else (None, a)
    if isinstance(last, Literal) and isinstance(b, Literal):
        joined = number(Fraction(last.value) + Fraction(b.value))
    elif last == b:
        joined = Operation("*", (number(2), b))
    elif isinstance(last, Operation) and last.operator == "*" and last.operands[1] == b and _counts(last.operands[0]):
        joined = Operation("*", (number(whole(last.operands[0]) + 1), b))
    else:
        return Operation("+", (a, b))
    return joined if rest is None else Operation("+", (rest, joined))


def _counts(n: Number) -> bool:
    return isinstance(n, Literal) and is_whole(n)


def _divides(p: Polynomial, divisor: Fraction) -> bool:
    return all((coefficient / divisor).denominator == 1 for coefficient in p.values())


def _sum(a: Polynomial, b: Polynomial) -> Polynomial:
    total = dict(a)
    for monomial, coefficient in b.items():
        total[monomial] = total.get(monomial, Fraction(0)) + coefficient
    return {m: c for m, c in total.items() if c}


def _scaled(a: Polynomial, factor: Fraction) -> Polynomial:
    return {m: c * factor for m, c in a.items()}


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    total: dict[tuple[Atom, ...], Fraction] = {}
    for m1, c1 in a.items():
        for m2, c2 in b.items():
            monomial = tuple(sorted((*m1, *m2)))
            total[monomial] = total.get(monomial, Fraction(0)) + c1 * c2
    return {m: c for m, c in total.items() if c}


# --- printing --------------------------------------------------------------------------------------------------

_LEVEL = {"==": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "//": 3, "%": 3}
_UNARY, _POWER, _ATOM = 4, 5, 6
_WORD = re.compile(r"-?[\w.]+(e-\d+)?")


def written(n: Number) -> str:
    """The number as the spec says it: `4 * dim`."""
    return spelled(n, _name)


def valued(n: Number) -> str:
    """A number for a message: as written, with its value where that is another text: `context (1024)`."""
    text = written(n)
    return text if n.value is None or text.replace("_", "") == spell(n.value) else f"{text} ({spell(n.value)})"


def _name(reference: Reference) -> str:
    """A block's input dim that its signature does not name is shown as its caller wrote it."""
    if reference.kind == "dim" and reference.name[0].islower() and reference.target is not None:
        return written(reference.target)
    return reference.name


def spelled(n: Number, name: Callable[[Reference], str], *, python: bool = False) -> str:
    """The number with each reference printed by `name`; `python` gives a Python expression."""
    return _spelled(n, name, python)[0]


def _spelled(n: Number, name: Callable[[Reference], str], python: bool) -> tuple[str, int]:
    match n:
        case Literal(text=text, value=value):
            return (spell(value) if text.endswith("%") and python else text), _ATOM
        case Reference():
            text = name(n)
            return text, _ATOM if text.replace("_", "").replace(".", "").isalnum() else 2
        case Operation("neg", (operand,)):
            text, level = _spelled(operand, name, python)
            # Formatters put the power after a sign into parentheses.
            bare = level >= _UNARY and not (python and level == _POWER)
            return (f"-{text}" if bare else f"-({text})"), _UNARY
        case Operation("round_up", (a, b)) if python:
            up, by = _spelled(a, name, python), _spelled(b, name, python)
            number = up[0] if up[1] >= _UNARY else f"({up[0]})"
            step = by[0] if by[1] > _LEVEL["*"] else f"({by[0]})"
            return f"-(-{number} // {step}) * {step}", _LEVEL["*"]
        case Operation(operator, operands) if operator in MATHS:
            arguments = ", ".join(_spelled(o, name, python)[0] for o in operands)
            return f"{_PYTHON_MATHS.get(operator, operator) if python else operator}({arguments})", _ATOM
        case Operation("^", (a, b)):
            left, right = _spelled(a, name, python), _spelled(b, name, python)
            base = left[0] if left[1] > _POWER else f"({left[0]})"
            exponent = right[0] if right[1] >= _UNARY else f"({right[0]})"
            # Formatters set `**` close where both sides are single words.
            close = python and _WORD.fullmatch(base) and _WORD.fullmatch(exponent)
            power = "**" if close else " ** " if python else " ^ "
            return f"{base}{power}{exponent}", _POWER
        case Operation(operator, (a, b)):
            level = _LEVEL[operator]
            if python and operator == "/" and (is_whole(n) or (n.value is None and divides(b, a))):
                operator = "//"  # known to come out whole, and wanted whole
            left, right = _spelled(a, name, python), _spelled(b, name, python)
            first = left[0] if left[1] >= level else f"({left[0]})"
            second = right[0] if right[1] > level else f"({right[0]})"
            return f"{first} {operator} {second}", level
    raise AssertionError(n)


_PYTHON_MATHS = {name: f"math.{name}" for name in ("sqrt", "exp", "log", "sin", "cos", "floor", "ceil")}


def outward(n: Number, scope: object) -> Number:
    """The number in the terms of the caller: names that live in `scope` are replaced by what the caller gave."""
    match n:
        case Reference(owner=owner, target=target) if target is not None:
            if owner is not None and owner == scope:
                return outward(target, scope)
            return n
        case Operation(operator, operands):
            moved = tuple(outward(operand, scope) for operand in operands)
            if all(a is b for a, b in zip(moved, operands, strict=True)):
                return n
            return total(moved) if operator == "+" else Operation(operator, moved)
    return n


def references(n: Number) -> Iterator[Reference]:
    """The names a number was written with, from left to right."""
    match n:
        case Reference():
            yield n
        case Operation(operands=operands):
            for operand in operands:
                yield from references(operand)


def opened(n: Number) -> Iterator[Reference]:
    """The open dims that a number comes down to, from left to right."""
    match n:
        case Reference(target=None):
            yield n
        case Reference(target=Literal() | Reference() | Operation() as target):
            yield from opened(target)
        case Operation(operands=operands):
            for operand in operands:
                yield from opened(operand)
