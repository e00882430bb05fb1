"""The outline of a file: its items, and the labels and names in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..grammar import tree
from ..grammar.source import Span


@dataclass(frozen=True)
class Entry:
    """`name` stands at `place` within `span`; `kind` is what gives it."""

    name: str
    kind: str
    detail: str
    span: Span
    place: Span
    inside: tuple[Entry, ...] = ()


def outline(file: tree.File) -> list[Entry]:
    return [entry for item in file.items for entry in _item(item)]


def _item(item: tree.Item) -> Iterator[Entry]:
    match item:
        case tree.Constant(name=name):
            yield Entry(name.text, "constant", "", item.span, name.span)
        case tree.Function(name=name):
            yield Entry(name.text, "function", "", item.span, name.span)
        case tree.Block(name=name, body=body) | tree.Model(name=name, body=body):
            kind = "block" if isinstance(item, tree.Block) else "model"
            yield Entry(name.text, kind, kind, item.span, name.span, tuple(_in_body(body)))
        case tree.Train(model=model, recipe=recipe, body=body):
            inside = tuple(_settings(body))
            yield Entry(
                f"train {model}{f' as {recipe}' if recipe else ''}", "section", "", item.span, model.span, inside
            )
        case tree.Export(model=model):
            yield Entry(f"export {model}", "section", "", item.span, model.span)


def _settings(body: tree.Body) -> Iterator[Entry]:
    for line in body.lines:
        match line:
            case tree.Binding(name=name):
                yield Entry(name.text, "key", "", line.span, name.span)
            case tree.Phase(name=name, body=inner):
                yield Entry(f"phase {name}", "section", "", line.span, name.span, tuple(_settings(inner)))


def _in_body(node: tree.Node) -> Iterator[Entry]:
    """The labels of a body, each with those inside it; bodies without a label are passed through."""
    for child in tree.children(node):
        match child:
            case tree.Label(name=name, target=target):
                path = str(target.path) if isinstance(target, tree.Stage) else ""
                yield Entry(name.text, "label", path, child.span, name.span, tuple(_in_body(child)))
            case tree.Binding(name=name):
                yield Entry(name.text, "value", "", child.span, name.span, tuple(_in_body(child)))
            case _:
                yield from _in_body(child)
