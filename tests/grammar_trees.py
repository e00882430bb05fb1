"""Syntax trees and texts drawn at random, for the tests of the grammar."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

from hypothesis import strategies as st

from dlspec.grammar import Source, spell, tree
from dlspec.grammar.lexer import tokens
from dlspec.grammar.nodes import number_value
from dlspec.grammar.tokens import NEWLINE

# Trees that were not read from a text stand at the beginning of an empty one.
HERE = Source("nowhere", "").span(0, 0)

T = TypeVar("T")
SMALL = ("a", "x", "attn", "kernel_size", "q_2", "_hidden", "learning_rate", "blockwise", "iffy", "trues", "data")
CAPITAL = ("B", "T", "Linear", "Conv2d", "RMSNorm", "Trues", "A_1")
DIGITS = ("0", "1", "12", "305")
NUMBERS = (*DIGITS, "50_257", "1e-4", "2.0", "0.5", "1.5e+3", "6E4", "1_000.25", "123456789012345678")
PERCENTS = ("5%", "0.1%", "12.5%")
STRINGS = ("", "tanh", "corpus/*.txt", "# no comment", "it's", "a -> b", "{", "b (h p) -> b h p", "größe", "// \\")
PATTERNS = ("blocks.*", "*.norm", "a b = c", "", "#")
OPERATORS = ("+", "-", "*", "/", "//", "%", "^", "==", "!=", "<", "<=", ">", ">=")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


class Drawer:
    """Draws nodes; `depth` bounds how deep expressions go, and `most` how many items a file has."""

    def __init__(self, draw: random.Random, depth: int = 4, most: int = 6) -> None:
        self.draw = draw
        self.depth = depth
        self.most = most

    def some(self, make: Callable[[], T], most: int = 3, least: int = 0) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.draw.randint(least, most)))

    def maybe(self, make: Callable[[], T]) -> T | None:
        return make() if self.draw.random() < 0.5 else None

    def name(self) -> tree.Name:
        return tree.Name(self.draw.choice(SMALL), span=HERE)

    def type(self) -> tree.Name:
        return tree.Name(self.draw.choice(CAPITAL), span=HERE)

    def path(self) -> tree.Path:
        first = self.draw.choice(SMALL + CAPITAL)
        return tree.Path((first, *self.some(lambda: self.draw.choice(SMALL + CAPITAL + DIGITS), 2)), span=HERE)

    def leaf(self) -> tree.Flow:
        match self.draw.randrange(8):
            case 0 | 1:
                text = self.draw.choice(NUMBERS)
                return tree.Number(text, number_value(text), span=HERE)
            case 2:
                text = self.draw.choice(PERCENTS)
                return tree.Percent(text, float(text[:-1] + "e-2"), span=HERE)
            case 3:
                return tree.String(self.draw.choice(STRINGS), span=HERE)
            case 4:
                return tree.Bool(self.draw.random() < 0.5, span=HERE)
            case 5:
                return tree.Nothing(span=HERE)
            case _:
                return tree.Stage(self.path(), span=HERE)

    def flow(self) -> tree.Flow:
        if self.depth == 0 or self.draw.random() < 0.2:
            return self.leaf()
        self.depth -= 1
        try:
            return self.compound()
        finally:
            self.depth += 1

    def compound(self) -> tree.Flow:
        match self.draw.randrange(9):
            case 0:
                return tree.Binary(self.draw.choice(OPERATORS), self.flow(), self.flow(), span=HERE)
            case 1:
                return tree.Negate(self.flow(), span=HERE)
            case 2:
                return tree.Choice(self.flow(), self.flow(), self.flow(), span=HERE)
            case 3 | 4:
                return tree.Then(self.some(self.flow, 4, 2), span=HERE)
            case 5:
                return tree.List(self.some(self.entry), span=HERE)
            case 6:
                target = self.stage() if self.draw.random() < 0.6 else self.body()
                return tree.Label(self.name(), target, span=HERE)
            case 7:
                return self.body()
            case _:
                return self.stage()

    def entry(self) -> tree.Flow | tree.Entry:
        if self.draw.random() < 0.6:
            return self.flow()
        key = self.path() if self.draw.random() < 0.7 else tree.String(self.draw.choice(PATTERNS), span=HERE)
        return tree.Entry(key, self.flow(), span=HERE)

    def argument(self) -> tree.Flow | tree.Keyword:
        return self.flow() if self.draw.random() < 0.5 else tree.Keyword(self.name(), self.flow(), span=HERE)

    def stage(self) -> tree.Stage:
        args, body = self.maybe(lambda: self.some(self.argument)), self.maybe(self.body)
        return tree.Stage(self.path(), args, body, span=HERE)

    def body(self) -> tree.Body:
        return tree.Body(self.some(self.line), span=HERE)

    def line(self) -> tree.Line:
        match self.draw.randrange(8):
            case 0:
                return self.setting()
            case 1:
                return tree.Named(self.flow(), self.some(self.name, 3, 1), span=HERE)
            case 2:
                return tree.Default(self.stage(), span=HERE)
            case 3:
                return self.phase()
            case _:
                return self.flow()

    def setting(self) -> tree.Binding:
        return tree.Binding(self.name(), self.flow(), span=HERE)

    def phase(self) -> tree.Phase:
        return tree.Phase(self.name(), tree.Body(self.some(self.setting), span=HERE), span=HERE)

    def shape(self) -> tree.Shape:
        return tree.Shape(self.maybe(self.name), self.some(self.dim), span=HERE)

    def dim(self) -> tree.Flow:
        if self.draw.random() < 0.8:
            return self.flow()
        first, second = self.draw.choice(COMPARISONS), self.draw.choice(COMPARISONS)
        return tree.Between(self.flow(), first, self.flow(), second, self.flow(), span=HERE)

    def ports(self) -> tuple[tree.Port, ...]:
        if self.draw.random() < 0.3:
            return (tree.Port(None, self.shape(), span=HERE),)
        return self.some(lambda: tree.Port(self.name(), self.shape(), span=HERE), 3, 1)

    def signature(self) -> tree.Signature:
        return tree.Signature(self.ports(), self.maybe(self.ports), span=HERE)

    def params(self) -> tuple[tree.Param, ...]:
        return self.some(lambda: tree.Param(self.name(), self.maybe(self.flow), span=HERE))

    def item(self) -> tree.Item:
        match self.draw.randrange(9):
            case 0:
                what = tree.String("x.dlspec", span=HERE) if self.draw.random() < 0.5 else self.path()
                return tree.Import(what, span=HERE)
            case 1 | 2:
                return self.constant()
            case 3:
                return tree.Function(self.name(), self.params(), self.flow(), span=HERE)
            case 4:
                return tree.Default(self.stage(), span=HERE)
            case 5:
                params, signature = self.maybe(self.params), self.maybe(self.signature)
                return tree.Block(self.type(), params, signature, self.body(), span=HERE)
            case 6:
                return tree.Model(self.type(), self.signature(), self.body(), span=HERE)
            case 7:
                lines = self.some(lambda: self.phase() if self.draw.random() < 0.2 else self.setting())
                return tree.Train(self.type(), self.maybe(self.name), tree.Body(lines, span=HERE), span=HERE)
            case _:
                return tree.Export(self.type(), self.body(), span=HERE)

    def constant(self) -> tree.Constant:
        value = self.flow()
        while spell(value).startswith("{"):  # may be the dictionary of another language
            value = self.flow()
        return tree.Constant(self.name(), value, span=HERE)

    def file(self) -> tree.File:
        return tree.File(tree.Number("1", 1, span=HERE), self.some(self.item, self.most), span=HERE)


files = st.randoms(use_true_random=False).map(lambda draw: Drawer(draw).file())


def respaced(text: str, draw: random.Random) -> str:
    """The same tokens with other spaces, line breaks and comments, wherever the language lets them be."""
    stream, findings = tokens(Source("respaced", text))
    assert not findings
    out = [draw.choice(["", "\n", "# first\n", "\n\n  # second\n\n"])]
    brackets: list[str] = []
    for i, (token, after) in enumerate(pairwise([*stream, None])):
        assert token is not None
        if token.kind == NEWLINE:
            if brackets and brackets[-1] != "{":
                out.append(" ")
            else:
                blank = draw.choice(["", "", f"  # {i}", "\n", f"\n   # {i}", f"# {i}\n\n\n # and\n"])
                indent = draw.choice(["", "  ", "\t", "        "])
                out.append(f"{blank}\n{indent}")
            continue
        brackets.extend(token.kind for kind in ("(", "[", "{") if token.kind == kind)
        if token.kind in (")", "]", "}"):
            brackets.pop()
        out.append(token.text)
        inside = bool(brackets) and brackets[-1] != "{"
        if after is None or after.kind == NEWLINE:
            continue
        if draw.random() < 0.15 and (inside or after.kind == "->"):
            out.append(draw.choice(["\n", "\n\n", f" # {i}\n", f"\n # {i}\n  ", f" #{i}\n\n  # next\n"]))
        elif "->" in (token.kind, after.kind) or token.kind in ("(", "[", ",") or after.kind in (")", "]", ","):
            out.append(draw.choice(["", " ", "   "]))
        else:
            # Between words a space is needed, and `a .b` is as good as `a.b` except between digits.
            apart = token.text[-1].isalnum() or token.text[-1] in '_-<>=!/*"%'
            out.append(draw.choice([" ", "  ", "\t"]) if apart and after.kind != "." and token.kind != "." else "")
    return "".join(out)
