"""Which values a unit reads, how often, and which have names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .graph import Region, Unit, Value, all_nodes, regions


def uses(unit: Unit) -> Counter[Value]:
    """How often each value is read in the unit."""
    found: Counter[Value] = Counter(unit.outputs)
    for node in all_nodes(unit.nodes):
        found.update(node.inputs)
        found.update(region.output for region in regions(node.op))
    return found


def captured(region: Region) -> list[Value]:
    """What a flow reads that it does not make itself."""
    made, read = {region.input}, dict[Value, None]()
    for node in all_nodes(region.nodes):
        made.update(node.outputs, (inner.input for inner in regions(node.op)))
        read.update(dict.fromkeys(node.inputs))
    read[region.output] = None
    return [value for value in read if value not in made]


def _all_values(unit: Unit) -> Iterable[Value]:
    yield from unit.inputs
    for node in all_nodes(unit.nodes):
        yield from node.outputs


def named_values(unit: Unit) -> set[str]:
    """The names that values of a unit were given."""
    return {value.name for value in _all_values(unit) if value.name}
