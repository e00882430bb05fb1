"""What a module that lies inside another takes beside its first input: used again by its path it takes the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..ir.graph import Copies, Module, Node, Unit, UnitModule, Value, regions
from .draft import UnitDraft, step


def further_inputs(unit: UnitDraft, path: Sequence[str]) -> tuple[Value, ...] | None:
    """In values of `unit`, in whose modules the path begins; None where one of them is worked out further in."""
    module, rest = step(unit.find, list(path))
    given: tuple[Value | None, ...] = unit.beside(".".join(path[: len(path) - len(rest)]))
    while rest and module is not None:
        inside = _unit(module, rest)
        if inside is None:
            return ()
        seen = dict(zip(inside.inputs[1:], given, strict=False))
        if not rest:
            break  # a copy takes what all of them do
        module, after = step({m.name: inside.module(m.name) for m in inside.modules}.get, rest)
        name = ".".join(rest[: len(rest) - len(after)])
        given, rest = tuple(seen.get(value) for value in _beside(name, inside)), after
    found = tuple(value for value in given if value is not None)
    return found if len(found) == len(given) else None


def _unit(module: Module, rest: list[str]) -> Unit | None:
    """The unit that a path goes on in; of copies, the number of one is taken off it."""
    match module:
        case UnitModule(unit=unit):
            return unit
        case Copies(units=units):
            return units[int(rest.pop(0))]
    return None


def _beside(name: str, unit: Unit) -> tuple[Value, ...]:
    """The inputs behind the first where a unit first runs a module."""
    node = next((node for node in _nodes(unit.nodes) if node.module == name), None)
    return () if node is None else node.inputs[1:]


def _nodes(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        for region in regions(node.op):
            yield from _nodes(region.nodes)
