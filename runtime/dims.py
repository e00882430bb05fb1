"""Dims of a port: a number, a symbol ("T"), or an expression over symbols ("16 * H")."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping

from .errors import RuntimeFault

Dim = int | str

LARGEST = 1 << 16
"""Up to this size a symbol is looked for that stands in an expression only."""

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,  # a dim comes out whole: the compiler has proved it
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_FUNCTIONS = {"min": min, "max": max, "round_up": lambda size, multiple: -(-size // multiple) * multiple}


def is_symbol(dim: Dim) -> bool:
    return isinstance(dim, str) and dim.isidentifier()


def symbols_of(dim: Dim) -> tuple[str, ...]:
    """The symbols in a dim, each once, from left to right."""
    if isinstance(dim, int):
        return ()
    names = [node for node in ast.walk(_parse(dim)) if isinstance(node, ast.Name) and node.id not in _FUNCTIONS]
    return tuple(dict.fromkeys(node.id for node in sorted(names, key=lambda node: node.col_offset)))


def evaluate(dim: Dim, bindings: Mapping[str, int]) -> int:
    """The size of a dim where every symbol in it has one. Raises KeyError for a symbol that has none."""
    return dim if isinstance(dim, int) else _evaluate(_parse(dim), bindings, dim)


def solved(dim: Dim, size: int, symbol: str, bindings: Mapping[str, int]) -> int | None:
    """The smallest size of the symbol that makes a dim as large as it is; None where none up to LARGEST does."""
    sizes = range(1, LARGEST + 1)
    return next((n for n in sizes if evaluate(dim, {**bindings, symbol: n}) == size), None)


def broken_bound(symbol: str, size: int, limits: Mapping[str, int], least: Mapping[str, int]) -> str | None:
    """What a size of the symbol goes beyond, `T is 1,024 at most`; None where it is within its bounds."""
    if size > limits.get(symbol, size):
        return f"{symbol} is {limits[symbol]:,} at most"
    if size < least.get(symbol, size):
        return f"{symbol} is {least[symbol]:,} at least"
    return None


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text.replace("^", "**"), mode="eval").body
    except SyntaxError:
        raise RuntimeFault(f"{text!r} is no dim") from None


def _evaluate(node: ast.expr, bindings: Mapping[str, int], text: str) -> int:
    match node:
        case ast.Constant(value=int(size)):
            return size
        case ast.Name(id=name):
            return bindings[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, bindings, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left, bindings, text), _evaluate(right, bindings, text))
        case ast.Call(func=ast.Name(id=name), args=args) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_evaluate(argument, bindings, text) for argument in args))
    raise RuntimeFault(f"{text!r} is no dim")
