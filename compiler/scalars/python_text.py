"""An expression as Python text, with the parentheses that it needs and no others.

What differs between PyTorch, Triton and numpy is how a function is called; each is a subclass of `PythonPrinter`.
"""

from __future__ import annotations

import ast
import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from ..semantics.arithmetic import COMPARISONS, spell
from ..semantics.number import Number, Reference, spelled
from .activations import ACTIVATIONS, definition
from .expression import Call, Compute, Constant, Expression, Variable, applied

# How tightly Python binds, loosest first.
IF, OR, AND, NOT, COMPARE, BIT_OR, BIT_AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(12)

_LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT}
_WORD = re.compile(r"-?[\w.]+(e-\d+)?")
_BINARY: dict[type[ast.AST], int] = {
    ast.Add: SUM,
    ast.Sub: SUM,
    ast.Mult: PRODUCT,
    ast.Div: PRODUCT,
    ast.FloorDiv: PRODUCT,
    ast.Mod: PRODUCT,
    ast.Pow: POWER,
}


@dataclass(frozen=True)
class Text:
    """A piece of Python and how tightly its outermost operator binds."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        """The text where something that binds at `level` or tighter is wanted."""
        return self.text if self.level >= level else f"({self.text})"


def python_number(n: Number) -> str:
    """A number without the names it was written with, which mean nothing outside the file."""
    return spelled(n, _value, python=True)


def _value(reference: Reference) -> str:
    assert reference.value is not None, f"{reference.name} is known only at run time"
    return spell(reference.value)


class PythonPrinter:
    """Prints expressions; `number` says how a constant is written, `name` how a variable is called."""

    def __init__(
        self, number: Callable[[Number], str] = python_number, name: Callable[[str], str] = lambda name: name
    ) -> None:
        self._number, self._name = number, name

    def text(self, expression: Expression) -> str:
        return self.piece(expression).text

    def piece(self, e: Expression) -> Text:
        match e:
            case Constant(number=n):
                return self.constant(n)
            case Variable(name):
                return Text(self._name(name))
            case Call():
                return self.call(e)
            case Compute("if", (condition, then, otherwise)):
                return self.choice(condition, then, otherwise)
            case Compute("neg", (a,)):
                inner = self.piece(a)
                # Formatters put a power behind a sign into parentheses.
                return Text(f"-{inner.at(UNARY)}" if inner.level != POWER else f"-({inner.text})", UNARY)
            case Compute(operator, (a, b)) if operator in _LEVELS:
                return self.arithmetic(operator, a, b)
            case Compute("^", (a, b)):
                return self.power(a, b)
            case Compute(operator, (a, b)) if operator in COMPARISONS:
                return Text(f"{self.piece(a).at(BIT_OR)} {operator} {self.piece(b).at(BIT_OR)}", COMPARE)
            case Compute("and" | "or" as operator, (a, b)):
                level, sign = (BIT_AND, "&") if operator == "and" else (BIT_OR, "|")
                return Text(f"{self.piece(a).at(level)} {sign} {self.piece(b).at(level + 1)}", level)
            case Compute():
                return self.function(e)
        raise AssertionError(e)

    def constant(self, n: Number) -> Text:
        text = self._number(n)
        return Text(text, _level(ast.parse(text, mode="eval").body))

    def arithmetic(self, operator: str, a: Expression, b: Expression) -> Text:
        level = _LEVELS[operator]
        return Text(f"{self.piece(a).at(level)} {operator} {self.piece(b).at(level + 1)}", level)

    def power(self, a: Expression, b: Expression) -> Text:
        base, exponent = self.piece(a).at(ATOM), self.piece(b).at(UNARY)
        # Formatters set `**` close where both sides are single words.
        close = _WORD.fullmatch(base) and _WORD.fullmatch(exponent)
        return Text(f"{base}**{exponent}" if close else f"{base} ** {exponent}", POWER)

    def call(self, e: Call) -> Text:
        return self.piece(applied(e.function, e.arguments))

    @abstractmethod
    def choice(self, condition: Expression, then: Expression, otherwise: Expression) -> Text: ...

    def function(self, e: Compute) -> Text:
        """A function of one number, `max` or `min`, or an activation."""
        if e.operator in ACTIVATIONS:
            return self.piece(definition(e))
        raise AssertionError(e.operator)

    def called(self, function: str, *arguments: Expression) -> Text:
        return Text(f"{function}({', '.join(self.text(argument) for argument in arguments)})")


def _level(node: ast.expr) -> int:
    match node:
        case ast.BinOp(op=op):
            return _BINARY[type(op)]
        case ast.UnaryOp():
            return UNARY
        case ast.Compare():
            return COMPARE
        case ast.IfExp() | ast.BoolOp() | ast.Lambda():
            return IF
    return ATOM
