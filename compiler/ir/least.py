"""How small open dims may get: as the inputs say, and so that nothing in the model comes to less than one entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from ..semantics.bounds import value_at
from ..semantics.number import Number, opened, whole
from ..semantics.tensor import Tensor
from .graph import Graph, Unit, all_nodes
from .units import units_in

LARGEST = 4096
"""A dim that has to be larger than this is not looked for."""


def least_sizes(graph: Graph) -> dict[str, int]:
    """The smallest size of every open dim that cannot be 1: T is 3 where a convolution of kernel 3 has no padding."""
    found = {name: whole(size) for name, size in graph.least.items()}
    for dim in dict.fromkeys(_dims(graph.model)):
        references = set(opened(dim))
        if len(references) == 1:  # of a product of several nobody can say which is too small
            (reference,) = references
            if reference.owner is None:  # an input's
                found[reference.name] = _least(dim, found.get(reference.name, 1))
    return {name: size for name, size in found.items() if size > 1}


def _least(dim: Number, start: int) -> int:
    """The first size from `start` on of the one name in a dim that makes it 1 or more; `start` where none does."""
    for size in range(start, LARGEST + 1):
        value = value_at(dim, lambda _, size=size: Fraction(size))
        if value is None or value >= 1:
            return size
    return start


def _dims(model: Unit) -> Iterator[Number]:
    """The open dims of all that flows in a model."""
    for unit in units_in(model):
        yield from _of_types(value.type for value in unit.inputs)
        yield from _of_types(value.type for node in all_nodes(unit.nodes) for value in node.outputs)


def _of_types(types: Iterable[object]) -> Iterator[Number]:
    for type_ in types:
        if isinstance(type_, Tensor):
            yield from (dim for dim in type_.dims if dim.value is None)
