"""What each rule of dlspec.lark makes: one function a rule name, from its children to a node of tree.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import tree
from .lexer import Token
from .source import Source, Span

Maker = Callable[..., Any]


def makers(source: Source) -> dict[str, Maker]:
    """Functions (children, start, end) -> node, where start and end are the offsets of the text that was read."""

    def span(start: int, end: int) -> Span:
        return Span(source, start, end)

    def name(token: Token) -> tree.Name:
        return tree.Name(token.text, span=span(token.start, token.end))

    def names(*tokens: Token | None) -> tuple[tree.Name, ...]:
        return tuple(name(token) for token in tokens if token is not None)

    def binary(operator: str) -> Maker:
        def make(children: list[Any], start: int, end: int) -> tree.Binary:
            return tree.Binary(operator, children[0], children[1], span=span(start, end))

        return make

    def compare(children: list[Any], start: int, end: int) -> tree.Binary:
        left, operator, right = children
        return tree.Binary(operator.text, left, right, span=span(start, end))

    def between(children: list[Any], start: int, end: int) -> tree.Between:
        left, first, middle, second, right = children
        return tree.Between(left, first.text, middle, second.text, right, span=span(start, end))

    def number(children: list[Any], start: int, end: int) -> tree.Number:
        text = children[0].text
        return tree.Number(text, number_value(text), span=span(start, end))

    def percent(children: list[Any], start: int, end: int) -> tree.Percent:
        text = children[0].text
        # Read as a decimal fraction: dividing the float by 100 would round a second time.
        return tree.Percent(text, float(f"{text[:-1]}e-2"), span=span(start, end))

    def path(children: list[Any], start: int, end: int) -> tree.Path:
        # In blocks.0.1 the lexer reads the number 0.1.
        parts = tuple(part for token in children for part in token.text.split("."))
        return tree.Path(parts, span=span(start, end))

    def present(children: list[Any], start: int, end: int) -> tuple[Any, ...]:
        return tuple(child for child in children if child is not None)

    def spliced(children: list[Any], start: int, end: int) -> list[Any]:
        return children

    def ports(children: list[Any], start: int, end: int) -> tuple[tree.Port, ...]:
        if isinstance(children[0], tree.Shape):
            return (tree.Port(None, children[0], span=children[0].span),)
        return tuple(children)

    def shape(children: list[Any], start: int, end: int) -> tree.Shape:
        dtype, *dims = children
        dtype = None if dtype is None else name(dtype)
        return tree.Shape(dtype, tuple(d for d in dims if d is not None), span=span(start, end))

    table: dict[str, Maker] = {
        "start": lambda c, a, b: c,
        "header": lambda c, a, b: number(c, c[0].start, c[0].end),
        "import": lambda c, a, b: tree.Import(string(c[0]) if isinstance(c[0], Token) else c[0], span=span(a, b)),
        "constant": lambda c, a, b: tree.Constant(name(c[0]), c[1], span=span(a, b)),
        "function": lambda c, a, b: tree.Function(name(c[0]), c[1], c[2], span=span(a, b)),
        "default": lambda c, a, b: tree.Default(c[0], span=span(a, b)),
        "block": lambda c, a, b: tree.Block(name(c[0]), c[1], c[2], c[3], span=span(a, b)),
        "model": lambda c, a, b: tree.Model(name(c[0]), c[1], c[2], span=span(a, b)),
        "train": lambda c, a, b: tree.Train(name(c[0]), c[1] and name(c[1]), c[2], span=span(a, b)),
        "export": lambda c, a, b: tree.Export(name(c[0]), c[1], span=span(a, b)),
        "params": present,
        "param": lambda c, a, b: tree.Param(name(c[0]), c[1], span=span(a, b)),
        "signature": lambda c, a, b: tree.Signature(c[0], c[1], span=span(a, b)),
        "ports": ports,
        "port": lambda c, a, b: tree.Port(name(c[0]), c[1], span=span(a, b)),
        "shape": shape,
        "body": lambda c, a, b: tree.Body(present(c, a, b), span=span(a, b)),
        "group": lambda c, a, b: c[0],
        "phase": lambda c, a, b: tree.Phase(name(c[0]), c[1], span=span(a, b)),
        "binding": lambda c, a, b: tree.Binding(name(c[0]), c[1], span=span(a, b)),
        "named": lambda c, a, b: tree.Named(c[0], names(*c[1:]), span=span(a, b)),
        "then": lambda c, a, b: tree.Then(tuple(c), span=span(a, b)),
        "choice": lambda c, a, b: tree.Choice(c[0], c[1], c[2], span=span(a, b)),
        "compare": compare,
        "between": between,
        "add": binary("+"),
        "sub": binary("-"),
        "mul": binary("*"),
        "div": binary("/"),
        "floordiv": binary("//"),
        "mod": binary("%"),
        "pow": binary("^"),
        "negate": lambda c, a, b: tree.Negate(c[0], span=span(a, b)),
        "number": number,
        "percent": percent,
        "string": lambda c, a, b: string(c[0]),
        "true": lambda c, a, b: tree.Bool(True, span=span(a, b)),
        "false": lambda c, a, b: tree.Bool(False, span=span(a, b)),
        "none": lambda c, a, b: tree.Nothing(span=span(a, b)),
        "label": lambda c, a, b: tree.Label(name(c[0]), c[1], span=span(a, b)),
        "stage": lambda c, a, b: tree.Stage(c[0], c[1], c[2], span=span(a, b)),
        "path": path,
        "args": present,
        "keyword": lambda c, a, b: tree.Keyword(name(c[0]), c[1], span=span(a, b)),
        "list": lambda c, a, b: tree.List(present(c, a, b), span=span(a, b)),
        "entry": lambda c, a, b: tree.Entry(string(c[0]) if isinstance(c[0], Token) else c[0], c[1], span=span(a, b)),
    }

    def string(token: Token) -> tree.String:
        return tree.String(token.text[1:-1], span=span(token.start, token.end))

    return table


def number_value(text: str) -> int | float:
    digits = text.replace("_", "")
    return int(digits) if digits.isdecimal() else float(digits)
