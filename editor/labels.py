"""Paths of labels: what `blocks.0.attn` and `"blocks.*.attn_norm"` name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..compiler.layers.registry import stem
from ..grammar import tree
from ..grammar.source import Span
from .index import Mention, Symbol

# The parts of `residual { attn: ... }` that are called after the label of its body.
PARTS_OF_RESIDUAL = ("norm", "pre_norm", "out_norm", "post_norm", "skip", "gate", "drop")

Units = Mapping[str, tree.Block | tree.Model]
Labels = Mapping[int, Symbol]


@dataclass(frozen=True)
class Level:
    """One step of a path: the symbol that gives it its name, as far as `length`, and what lies inside.

    `symbol` is None where the name follows from a layer or block (`layers` of a `repeat`).
    """

    name: str
    symbol: Symbol | None
    inner: tree.Body | None
    length: int


def levels(body: tree.Body, labels: Labels, units: Units) -> Iterator[Level]:
    """The first steps of all paths into a body."""
    for line in body.lines:
        yield from _of(line, labels, units)


def _of(node: tree.Node, labels: Labels, units: Units) -> Iterator[Level]:
    match node:
        case tree.Label(name=name, target=target):
            yield Level(name.text, labels.get(id(node)), _inside(target, units), len(name.text))
        case tree.Stage(path=path, body=None):
            if (unit := units.get(str(path))) is not None:
                yield Level(stem(unit.name.text), None, unit.body, 0)
        case tree.Stage(path=path, body=tree.Body() as body):
            if str(path) == "repeat":
                yield Level("layers", None, body, 0)
                return
            yield from levels(body, labels, units)
            if str(path) == "residual" and len(body.lines) == 1 and isinstance(body.lines[0], tree.Label):
                label = body.lines[0].name.text
                for part in PARTS_OF_RESIDUAL:
                    yield Level(f"{label}_{part}", labels.get(id(body.lines[0])), None, len(label))
        case tree.Default() | tree.Phase():
            pass
        case _:
            for child in tree.children(node):
                yield from _of(child, labels, units)


def _inside(target: tree.Stage | tree.Body, units: Units) -> tree.Body | None:
    if isinstance(target, tree.Body):
        return target
    if target.body is not None:
        return target.body
    unit = units.get(str(target.path))
    return None if unit is None else unit.body


def follow(
    parts: Iterable[tuple[str, Span]], bodies: list[tree.Body], labels: Labels, units: Units
) -> Iterator[Mention]:
    """The labels that the parts of a path or pattern mention, as far as they are known. Numbers count copies."""
    for text, span in parts:
        if text.isdecimal():
            continue
        reached = [level for body in bodies for level in levels(body, labels, units)]
        if text == "*":
            bodies += [level.inner for level in reached if level.inner is not None]
            continue
        fitting = [level for level in reached if _fits(level.name, text)]
        named = next((level for level in fitting if level.name == text and level.symbol is not None), None)
        if named is not None and named.symbol is not None:
            yield Mention(Span(span.source, span.start, span.start + named.length), named.symbol)
        bodies = [level.inner for level in fitting if level.inner is not None]


def reach(parts: Iterable[str], bodies: list[tree.Body], labels: Labels, units: Units) -> list[tree.Body]:
    """The bodies that lie behind the parts of a path."""
    for part in parts:
        if not part.isdecimal():
            found = [level for body in bodies for level in levels(body, labels, units) if _fits(level.name, part)]
            bodies = [level.inner for level in found if level.inner is not None]
    return bodies


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or (
        "*" in pattern and re.fullmatch(re.escape(pattern).replace(r"\*", "[^.]*"), name) is not None
    )


def path_parts(path: tree.Path) -> list[tuple[str, Span]]:
    """The parts of a path with the place of each."""
    if len(path.parts) == 1:  # most are: no need to look for it
        return [(path.parts[0], path.span)]
    span, at, found = path.span, path.span.start, []
    for part in path.parts:
        at = span.source.text.find(part, at, span.end)
        found.append((part, Span(span.source, at, at + len(part))))
        at += len(part)
    return found


def pattern_parts(pattern: tree.String) -> list[tuple[str, Span]]:
    """The parts of a quoted pattern with the place of each."""
    at, found = pattern.span.start + 1, []
    for part in pattern.value.split("."):
        found.append((part, Span(pattern.span.source, at, at + len(part))))
        at += len(part) + 1
    return found
