"""The syntax tree: what was written, where, and nothing of what it means.

Every node carries the span it was read from; spans take no part in equality, so that two texts that say the same
thing give equal trees (the formatter's round trip is tested by that).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from .source import Span


@dataclass(frozen=True)
class Node:
    span: Span = field(compare=False, repr=False, kw_only=True)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below one, in the order of the text."""
    for value in vars(node).values():
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


@dataclass(frozen=True)
class Name(Node):
    """One identifier: lowercase or Capital."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Path(Node):
    """`a.b.0.c`: a name or several joined by dots."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.parts)


# --- expressions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Node):
    """`768`, `50_257`, `1e-4`. `text` is the spelling; `value` is int where the spelling is whole."""

    text: str
    value: int | float


@dataclass(frozen=True)
class Percent(Node):
    """`5%`; `value` is 0.05."""

    text: str
    value: float


@dataclass(frozen=True)
class String(Node):
    value: str


@dataclass(frozen=True)
class Bool(Node):
    value: bool


@dataclass(frozen=True)
class Nothing(Node):
    """`none`."""


@dataclass(frozen=True)
class Binary(Node):
    """`left operator right`; the operator is one of + - * / // % ^ == != < <= > >=."""

    operator: str
    left: Flow
    right: Flow


@dataclass(frozen=True)
class Between(Node):
    """`left first middle second right`: the dim `2 <= T <= 1024`, of which `first` and `second` are the operators.

    Only in a shape: elsewhere comparisons are not chained.
    """

    left: Flow
    first: str
    middle: Flow
    second: str
    right: Flow


@dataclass(frozen=True)
class Negate(Node):
    operand: Flow


@dataclass(frozen=True)
class Choice(Node):
    """`then if condition else otherwise`."""

    then: Flow
    condition: Flow
    otherwise: Flow


@dataclass(frozen=True)
class Then(Node):
    """`a -> b -> c`: two stages or more, in order."""

    stages: tuple[Flow, ...]


@dataclass(frozen=True)
class Keyword(Node):
    """`name = value` in parentheses."""

    name: Name
    value: Flow


@dataclass(frozen=True)
class Entry(Node):
    """`path = value` in brackets; the path may be a pattern in quotes."""

    path: Path | String
    value: Flow


@dataclass(frozen=True)
class List(Node):
    entries: tuple[Flow | Entry, ...]


@dataclass(frozen=True)
class Stage(Node):
    """`path`, `path(args)`, `path { }` or `path(args) { }`. `args` is None where no parentheses stand."""

    path: Path
    args: tuple[Flow | Keyword, ...] | None = None
    body: Body | None = None


UNREAD = "…"
"""Stands for the name of what could not be read; nothing that can be read has it."""


@dataclass(frozen=True)
class Unread(Stage):
    """Stands where a flow has a fault that nothing mends: a stage of which nothing more is said."""

    path: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path((UNREAD,), span=self.span))


@dataclass(frozen=True)
class Label(Node):
    """`name: stage` or `name: { }`."""

    name: Name
    target: Stage | Body


@dataclass(frozen=True)
class Body(Node):
    """Lines in braces. As an expression it is a group."""

    lines: tuple[Line, ...]


Flow: TypeAlias = (
    "Number | Percent | String | Bool | Nothing | Binary | Between | Negate | Choice | Then | List | Stage "
    "| Label | Body"
)


# --- lines -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Binding(Node):
    """`name = flow`."""

    name: Name
    value: Flow


@dataclass(frozen=True)
class Named(Node):
    """`flow as a, b`."""

    flow: Flow
    names: tuple[Name, ...]


@dataclass(frozen=True)
class Default(Node):
    """`default Stage(option = value)`, in a file or a body."""

    stage: Stage


@dataclass(frozen=True)
class Phase(Node):
    name: Name
    body: Body


Line: TypeAlias = "Binding | Named | Default | Phase | Flow"


# --- items of a file -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Param(Node):
    name: Name
    default: Flow | None = None


@dataclass(frozen=True)
class Shape(Node):
    """`int[B, T <= context]`; `dtype` is None where it is left out."""

    dtype: Name | None
    dims: tuple[Flow, ...]


@dataclass(frozen=True)
class Port(Node):
    """`tokens: int[B, T]`; `name` is None for a bare shape."""

    name: Name | None
    shape: Shape


@dataclass(frozen=True)
class Signature(Node):
    """`inputs -> outputs`; `outputs` is None where they are to be worked out."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...] | None


@dataclass(frozen=True)
class Import(Node):
    """`import "file.dlspec"` (a String) or `import std.transformer` (a Path)."""

    what: String | Path


@dataclass(frozen=True)
class Constant(Node):
    name: Name
    value: Flow


@dataclass(frozen=True)
class Function(Node):
    name: Name
    params: tuple[Param, ...]
    value: Flow


@dataclass(frozen=True)
class Block(Node):
    name: Name
    params: tuple[Param, ...] | None
    signature: Signature | None
    body: Body


@dataclass(frozen=True)
class Model(Node):
    name: Name
    signature: Signature
    body: Body


@dataclass(frozen=True)
class Train(Node):
    """`train Model { }` or `train Model as recipe { }`."""

    model: Name
    recipe: Name | None
    body: Body


@dataclass(frozen=True)
class Export(Node):
    model: Name
    body: Body


Item: TypeAlias = "Import | Constant | Function | Default | Block | Model | Train | Export"


@dataclass(frozen=True)
class File(Node):
    """A whole spec. `version` is None where the header is missing (a diagnostic of the parser).

    `unread` are the stretches of text that are in no node, for their faults.
    """

    version: Number | None
    items: tuple[Item, ...]
    unread: tuple[Span, ...] = field(default=(), compare=False, repr=False)
