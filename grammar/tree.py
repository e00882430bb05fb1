"""The syntax tree: what was written, where, and nothing of what it means.

Every node carries the span it was read from; spans take no part in equality, so that two texts that say the same
thing give equal trees (the formatter's round trip is tested by that).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import TypeAlias

from .frozen import Frozen
from .source import Span


class Node(Frozen):
    span: Span = field(compare=False, repr=False, kw_only=True)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below one, in the order of the text."""
    for name in node.__match_args__:
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (part for part in value if isinstance(part, Node))


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first. Deep trees are no deeper for it than flat ones."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(reversed(tuple(children(node))))


class Name(Node):
    """One identifier: lowercase or Capital."""

    text: str

    def __str__(self) -> str:
        return self.text


class Path(Node):
    """`a.b.0.c`: a name or several joined by dots."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.parts)


# --- expressions -----------------------------------------------------------------------------------------------


class Number(Node):
    """`768`, `50_257`, `1e-4`. `text` is the spelling; `value` is int where the spelling is whole."""

    text: str
    value: int | float


class Percent(Node):
    """`5%`; `value` is 0.05."""

    text: str
    value: float


class String(Node):
    value: str


class Bool(Node):
    value: bool


class Nothing(Node):
    """`none`."""


class Binary(Node):
    """`left operator right`; the operator is one of + - * / // % ^ == != < <= > >=."""

    operator: str
    left: Flow
    right: Flow


class Between(Node):
    """`left first middle second right`: the dim `2 <= T <= 1024`, of which `first` and `second` are the operators.

    Only in a shape: elsewhere comparisons are not chained.
    """

    left: Flow
    first: str
    middle: Flow
    second: str
    right: Flow


class Negate(Node):
    operand: Flow


class Choice(Node):
    """`then if condition else otherwise`."""

    then: Flow
    condition: Flow
    otherwise: Flow


class Then(Node):
    """`a -> b -> c`: two stages or more, in order."""

    stages: tuple[Flow, ...]


class Keyword(Node):
    """`name = value` in parentheses."""

    name: Name
    value: Flow


class Entry(Node):
    """`path = value` in brackets; the path may be a pattern in quotes."""

    path: Path | String
    value: Flow


class List(Node):
    entries: tuple[Flow | Entry, ...]


class Stage(Node):
    """`path`, `path(args)`, `path { }` or `path(args) { }`. `args` is None where no parentheses stand."""

    path: Path
    args: tuple[Flow | Keyword, ...] | None = None
    body: Body | None = None


UNREAD = "…"
"""Stands for the name of what could not be read; nothing that can be read has it."""


class Unread(Stage):
    """Stands where a flow has a fault that nothing mends: a stage called `UNREAD`, of which nothing more is said."""


class Label(Node):
    """`name: stage` or `name: { }`."""

    name: Name
    target: Stage | Body


class Body(Node):
    """Lines in braces. As an expression it is a group."""

    lines: tuple[Line, ...]


Joined: TypeAlias = "Binary | Between | Negate | Choice | Then"
Flow: TypeAlias = "Number | Percent | String | Bool | Nothing | Joined | List | Stage | Label | Body"


# --- lines -----------------------------------------------------------------------------------------------------


class Binding(Node):
    """`name = flow`."""

    name: Name
    value: Flow


class Named(Node):
    """`flow as a, b`."""

    flow: Flow
    names: tuple[Name, ...]


class Default(Node):
    """`default Stage(option = value)`, in a file or a body."""

    stage: Stage


class Phase(Node):
    name: Name
    body: Body


Line: TypeAlias = "Binding | Named | Default | Phase | Flow"


# --- items of a file -------------------------------------------------------------------------------------------


class Param(Node):
    name: Name
    default: Flow | None = None


class Shape(Node):
    """`int[B, T <= context]`; `dtype` is None where it is left out."""

    dtype: Name | None
    dims: tuple[Flow, ...]


class Port(Node):
    """`tokens: int[B, T]`; `name` is None for a bare shape."""

    name: Name | None
    shape: Shape


class Signature(Node):
    """`inputs -> outputs`; `outputs` is None where they are to be worked out."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...] | None


class Import(Node):
    """`import "file.dlspec"` (a String) or `import std.transformer` (a Path)."""

    what: String | Path


class Constant(Node):
    name: Name
    value: Flow


class Function(Node):
    name: Name
    params: tuple[Param, ...]
    value: Flow


class Block(Node):
    name: Name
    params: tuple[Param, ...] | None
    signature: Signature | None
    body: Body


class Model(Node):
    name: Name
    signature: Signature
    body: Body


class Train(Node):
    """`train Model { }` or `train Model as recipe { }`."""

    model: Name
    recipe: Name | None
    body: Body


class Export(Node):
    model: Name
    body: Body


Item: TypeAlias = "Import | Constant | Function | Default | Block | Model | Train | Export"


class File(Node):
    """A whole spec. `version` is None where the header is missing (a diagnostic of the parser).

    `unread` are the stretches of text that are in no node, for their faults.
    """

    version: Number | None
    items: tuple[Item, ...]
    unread: tuple[Span, ...] = field(default=(), compare=False, repr=False)
