"""Nodes of an older text at their places in a newer one."""

from __future__ import annotations

from typing import Any, TypeVar

from ..grammar import Source, tree
from ..grammar.source import Span

AnyNode = TypeVar("AnyNode", bound=tree.Node)


def moved(node: AnyNode, source: Source, by: int) -> AnyNode:
    """A copy of a node and all below it, `by` code points further on in another text."""
    # All nodes of a file are copied after each keystroke: their constructors take longer.
    new, node_class = object.__new__, tree.Node

    def copied(node: Any) -> Any:
        copy = new(type(node))
        fields = copy.__dict__
        for name, value in node.__dict__.items():
            if name == "span":
                fields[name] = span = new(Span)
                place = span.__dict__
                place["source"], place["start"], place["end"] = source, value.start + by, value.end + by
            elif isinstance(value, node_class):
                fields[name] = copied(value)
            elif type(value) is tuple:
                fields[name] = tuple([copied(v) if isinstance(v, node_class) else v for v in value])
            else:
                fields[name] = value
        return copy

    return copied(node)
