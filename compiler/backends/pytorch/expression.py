"""Python expressions of emitted code: text, and what has to be known to put one into another."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ...layers.side import hole

HOLE = hole(0)
"""Stands for an operand while it is not known how it will be written."""
LONG = 84
"""A nested expression longer than this is taken apart."""


@dataclass(frozen=True)
class Expression:
    """`reads` are the variables it names; `modules` counts the modules it calls."""

    text: str
    reads: frozenset[str] = frozenset()
    modules: int = 0

    @property
    def is_name(self) -> bool:
        return self.text.isidentifier()


def fill(template: str, operand: str, hole: str = HOLE) -> str:
    """The template with a hole filled, in parentheses only where they change what is meant."""
    bare, wrapped = template.replace(hole, operand), template.replace(hole, f"({operand})")
    if operand.isidentifier():
        return bare
    if template.startswith("-") and "**" in operand:
        return wrapped  # formatters put them there
    return bare if _same(bare, wrapped) else wrapped


def infix(left: str, operator: str, right: str) -> str:
    """`left operator right`, with the parentheses that it needs and no others."""
    template = f"{HOLE} {operator} _y_"
    for a in (left, f"({left})"):
        for b in (right, f"({right})"):
            text = template.replace(HOLE, a).replace("_y_", b)
            if _same(text, template.replace(HOLE, f"({left})").replace("_y_", f"({right})")):
                return text
    raise AssertionError((left, operator, right))


def joined(left: Expression, operator: str, right: Expression) -> Expression:
    """`left operator right`, of expressions."""
    return Expression(infix(left.text, operator, right.text), left.reads | right.reads, left.modules + right.modules)


def _same(a: str, b: str) -> bool:
    try:
        return ast.dump(ast.parse(a, mode="eval")) == ast.dump(ast.parse(b, mode="eval"))
    except SyntaxError:
        return False
