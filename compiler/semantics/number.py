"""Numbers that remember how they were written, and dims that are still open.

`4 * dim` is an `Operation` over a `Literal` and a `Reference`; its value is 3072 where `dim` is 768, and it is
printed as it was written, in messages and in emitted code. A dim that is known only at run time (`T`) has no value;
two such numbers are equal where their polynomials over the open dims are.

Values are exact: whole numbers and decimal fractions are `Fraction`s (0.1 * 6e-4 is 6e-5), floats appear only where a
power or a function leaves the rationals.
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

Value: TypeAlias = Fraction | float

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

    @property
    def value(self) -> Value | None:
        return None if self.target is None else self.target.value

    @property
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


_MOST_BITS = 1024
"""A number as long as this is larger than a float can be."""


class NumberError(ValueError):
    """A number that cannot be worked out: a division by zero, the logarithm of a negative number."""


def number(value: int | float | Fraction) -> Literal:
    """A number that nobody wrote, such as the width that `flatten` finds."""
    exact = value if isinstance(value, Fraction) else exact_value(value)
    return Literal(spell(exact), exact)


def exact_value(value: int | float) -> Value:
    """Exactly what the shortest spelling of the number says."""
    return Fraction(value) if isinstance(value, int) or value == int(value) else Fraction(repr(value))


def spell(value: Value) -> str:
    """The shortest Python spelling: `64`, `0.1`, `6e-5`."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value.numerator)
    text = repr(float(value))
    if "e" not in text:
        if not text.startswith("0.000"):
            return text
        text = f"{float(value):.16e}"
        mantissa, exponent = text.split("e")
        text = f"{float(mantissa):.15g}e{exponent}"
    mantissa, exponent = text.split("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent)}"


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


def _power(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1 and abs(b) <= 64:
        return a ** int(b)
    result = float(a) ** float(b)
    if isinstance(result, complex):
        raise NumberError("a fractional power of a negative number")
    return result


def _round_up(a: Value, b: Value) -> Value:
    return Fraction(math.ceil(a / b)) * Fraction(b)


_APPLY: dict[str, Callable[..., Value]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: Fraction(a // b),
    "%": lambda a, b: a % b,
    "^": _power,
    "neg": lambda a: -a,
    "==": lambda a, b: Fraction(a == b),
    "!=": lambda a, b: Fraction(a != b),
    "<": lambda a, b: Fraction(a < b),
    "<=": lambda a, b: Fraction(a <= b),
    ">": lambda a, b: Fraction(a > b),
    ">=": lambda a, b: Fraction(a >= b),
    "sqrt": lambda a: _power(a, Fraction(1, 2)),
    "exp": lambda a: math.exp(a),
    "log": lambda a: math.log(a),
    "sin": lambda a: math.sin(a),
    "cos": lambda a: math.cos(a),
    "abs": lambda a: abs(a),
    "min": lambda *a: min(a),
    "max": lambda *a: max(a),
    "floor": lambda a: Fraction(math.floor(a)),
    "ceil": lambda a: Fraction(math.ceil(a)),
    "round_up": _round_up,
}

MATHS = frozenset({"sqrt", "exp", "log", "sin", "cos", "abs", "min", "max", "floor", "ceil", "round_up"})


def arguments_of(word: str) -> tuple[str, str]:
    """What a mathematical function takes, in words, and an example."""
    match word:
        case "min" | "max":
            return "two arguments or more", f"{word}(a, b)"
        case "round_up":
            return "two arguments", "round_up(dim, 64)"
    return "one argument", f"{word}(dim)"


COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


def apply(operator: str, *values: Value) -> Value:
    """The exact value of an operation on known values. Raises NumberError."""
    try:
        result = _APPLY[operator](*values)
    except ZeroDivisionError:
        raise NumberError("a division by zero") from None
    except OverflowError:
        raise NumberError(f"the result of {operator} is too large") from None
    except ValueError as error:
        raise NumberError(f"{operator} has no value here ({error})") from None
    if isinstance(result, Fraction):
        return _rounded(result)
    if math.isfinite(result) and result == int(result):
        return Fraction(int(result))
    return result


def _rounded(result: Fraction) -> Value:
    """The result, or the float nearest to one of so many places that nothing could tell the two apart: products of
    products would have no end of digits."""
    return result if result.denominator.bit_length() <= 2 * _MOST_BITS or _too_large(result) else float(result)


def _too_large(value: Value | None) -> bool:
    """Whether no float is as large."""
    if not isinstance(value, Fraction):
        return False
    return value.numerator.bit_length() - value.denominator.bit_length() >= _MOST_BITS


def operation(operator: str, *operands: Number) -> Operation:
    """An operation as it is written. Raises NumberError, also where the result is the first to be too large: numbers
    that are made of one another from line to line end there. (The sizes that layers make of others have no bound.)"""
    result = Operation(operator, operands)
    if _too_large(result.value) and not any(_too_large(operand.value) for operand in operands):
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
    if any(atom.name in _APPLY and atom.name != "//" for monomial in p for atom in monomial):
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


def limit(n: Number) -> Value | None:
    """The largest value a number can take at run time, or None where nothing bounds it.

    Of an expression a bound, not always the nearest: its parts are taken to vary each for itself.
    """
    return _range(n)[1]


def least(n: Number) -> Value | None:
    """The smallest value a number can take at run time, as `limit`. A dim is 1 at least."""
    return _range(n)[0]


def _range(n: Number) -> tuple[Value | None, Value | None]:
    if n.value is not None:
        return n.value, n.value
    match n:
        case Reference(target=None, least=low, most=high):
            return Fraction(1) if low is None else low.value, None if high is None else high.value
        case Reference(target=Literal() | Reference() | Operation() as target):
            return _range(target)
        case Operation("neg", (a,)):
            low, high = _range(a)
            return _known("neg", high), _known("neg", low)
        case Operation("+" | "max" | "min" | "floor" | "ceil" as operator, operands):
            lows, highs = zip(*map(_range, operands), strict=True)
            return _known(operator, *lows), _known(operator, *highs)
        case Operation("-", (a, b)):
            (low, high), (from_, to) = _range(a), _range(b)
            return _known("-", low, to), _known("-", high, from_)
        case Operation("*", (a, b)):
            (low, high), (from_, to) = _range(a), _range(b)
            if low is None or from_ is None or low < 0 or from_ < 0:
                return None, None
            return low * from_, _known("*", high, to)
        case Operation("^", (a, b)) if is_whole(b) and b.value >= 0:  # type: ignore[operator]
            low, high = _range(a)
            return (None, None) if low is None or low < 0 else (_known("^", low, b.value), _known("^", high, b.value))
        case Operation("/" | "//" | "round_up" as operator, (a, b)) if b.value is not None and b.value > 0:
            low, high = _range(a)
            return _known(operator, low, b.value), _known(operator, high, b.value)
        case Operation("%", (_, b)) if b.value is not None and b.value > 0:
            return Fraction(0), b.value
    return None, None


def _known(operator: str, *values: Value | None) -> Value | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    try:
        return apply(operator, *known)
    except NumberError:
        return None


def at_bounds(n: Number, side: Choice["least", "most"]) -> Value | None:
    """The value where every open dim is as small, or as large, as the inputs let it be; None where they do not say.

    One that a model has to be able to take: unlike `least` and `limit` it is no bound of expressions that fall as a
    dim grows.
    """

    def bound(reference: Reference) -> Value | None:
        found = reference.least if side == "least" else reference.most
        return None if found is None else found.value

    return value_at(n, bound)


def value_at(n: Number, size: Callable[[Reference], Value | None]) -> Value | None:
    """The value where open dims are as large as `size` says; None where it does not say."""
    if n.value is not None:
        return n.value
    match n:
        case Reference(target=None):
            return size(n)
        case Reference(target=Literal() | Reference() | Operation() as target):
            return value_at(target, size)
        case Operation(operator, operands):
            return _known(operator, *(value_at(operand, size) for operand in operands))
    raise AssertionError(n)


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
