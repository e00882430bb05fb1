"""The dialect of templates as syntax trees, and walks over them that know no more than it.

A function is made of assignments, calls, `if`, `for`, `while` and `return`; expressions are those of Python without
lambdas, comprehensions and keywords of one's own. Walks keep each node that nothing was changed in, by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar, cast

import libcst as cst

Statement: TypeAlias = cst.SimpleStatementLine | cst.If | cst.For | cst.While
_Node = TypeVar("_Node", bound=cst.CSTNode)
_Suited = TypeVar("_Suited", bound=cst.FunctionDef | cst.If | cst.Else | cst.For | cst.While)

_PARTS: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.SimpleStatementLine: ("body",),
    cst.Assign: ("value", "targets"),
    cst.AssignTarget: ("target",),
    cst.AnnAssign: ("value", "target"),
    cst.AugAssign: ("value", "target"),
    cst.Return: ("value",),
    cst.Expr: ("value",),
    cst.Pass: (),
    cst.If: ("test", "body", "orelse"),
    cst.Else: ("body",),
    cst.For: ("iter", "target", "body"),
    cst.While: ("test", "body"),
    cst.IndentedBlock: ("body",),
    cst.Name: (),
    cst.Integer: (),
    cst.Float: (),
    cst.SimpleString: (),
    cst.Attribute: ("value",),
    cst.Call: ("func", "args"),
    cst.Arg: ("value",),
    cst.Subscript: ("value", "slice"),
    cst.SubscriptElement: ("slice",),
    cst.Index: ("value",),
    cst.Slice: ("lower", "upper", "step"),
    cst.Tuple: ("elements",),
    cst.List: ("elements",),
    cst.Element: ("value",),
    cst.UnaryOperation: ("expression",),
    cst.BinaryOperation: ("left", "right"),
    cst.BooleanOperation: ("left", "right"),
    cst.Comparison: ("left", "comparisons"),
    cst.ComparisonTarget: ("comparator",),
    cst.IfExp: ("body", "test", "orelse"),
}
"""What each kind of node consists of, but for its layout and the names of attributes and arguments."""


def statements(node: cst.FunctionDef | cst.If | cst.Else | cst.For | cst.While) -> Sequence[Statement]:
    """Those of its suite."""
    return cast("Sequence[Statement]", node.body.body)


def with_suite(node: _Suited, suite: Sequence[cst.CSTNode]) -> _Suited:
    """The function, branch or loop with these statements, itself where they are its own."""
    old = statements(node)
    if len(suite) == len(old) and all(a is b for a, b in zip(suite, old, strict=True)):
        return node
    return node.with_changes(body=cst.IndentedBlock(cast("Sequence[cst.BaseStatement]", suite)))


def _part_names(node: cst.CSTNode) -> tuple[str, ...]:
    names = _PARTS.get(type(node))
    if names is None:
        raise ValueError(f"a template has no {type(node).__name__} in a function")
    return names


@lru_cache(maxsize=1 << 14)
def walk(node: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    """The node and all in it."""
    return tuple(_walk(node))


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for name in _part_names(node):
        part = getattr(node, name)
        for item in part if isinstance(part, (list, tuple)) else () if part is None else (part,):
            yield from _walk(item)


def rebuilt(node: _Node, change: Callable[[cst.CSTNode], cst.CSTNode]) -> _Node:
    """The node with `change` made of all in it, then of itself: an expression of an expression."""
    changed = {}
    for name in _part_names(node):
        part = getattr(node, name)
        if type(part) in _PARTS:
            new = rebuilt(part, change)
            if new is not part:
                changed[name] = new
        elif part:
            items = [rebuilt(item, change) for item in part]
            if any(a is not b for a, b in zip(items, part, strict=True)):
                changed[name] = items
    return cast("_Node", change(node.with_changes(**changed) if changed else node))


@lru_cache(maxsize=1 << 14)
def names_read(node: cst.CSTNode) -> frozenset[str]:
    """The variables in an expression or a statement, set ones and functions among them."""
    return frozenset(part.value for part in walk(node) if isinstance(part, cst.Name))


def names_in(function: cst.FunctionDef) -> set[str]:
    """All that a function reads and sets, its decorators among them."""
    found = {name for statement in statements(function) for name in names_read(statement)}
    annotations = (p.annotation.annotation for p in function.params.params if p.annotation is not None)
    return found.union(*(names_read(node) for node in (*(d.decorator for d in function.decorators), *annotations)))


def targets(statement: cst.CSTNode) -> set[str] | None:
    """The variables that an assignment sets; None where it sets a part of one, and of all that is none."""
    match statement:
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Tuple(elements=elements))]):
            values = [element.value for element in elements]
        case cst.Assign(targets=[cst.AssignTarget(target=value)]):
            values = [value]
        case cst.AugAssign(target=value) | cst.AnnAssign(target=value):
            values = [value]
        case _:
            return None
    names = {value.value for value in values if isinstance(value, cst.Name)}
    return names if all(isinstance(value, cst.Name) for value in values) else None


@lru_cache(maxsize=1 << 14)
def names_set(node: cst.CSTNode) -> frozenset[str]:
    """The variables that are set anywhere in a statement."""
    found: set[str] = set()
    for part in walk(node):
        found |= names_read(part.target) if isinstance(part, cst.For) else targets(part) or set()
    return frozenset(found)


def only_line(statement: Statement) -> cst.BaseSmallStatement | None:
    """What a line says; None of a suite."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return None
    if len(statement.body) != 1:
        raise ValueError("a template has a statement a line")
    return statement.body[0]


def begins_paragraph(statement: Statement) -> bool:
    return bool(statement.leading_lines) and statement.leading_lines[0].comment is None


def is_name(expression: cst.CSTNode, name: str) -> bool:
    return isinstance(expression, cst.Name) and expression.value == name


def in_place_of(node: cst.BaseExpression, part: cst.BaseExpression) -> cst.BaseExpression:
    """A part of an expression for the whole, in parentheses where that was and the part is no single word."""
    words = (cst.Name, cst.Integer, cst.Float, cst.Call, cst.Attribute, cst.Subscript)
    if node.lpar and not part.lpar and not isinstance(part, words):
        return part.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return part
