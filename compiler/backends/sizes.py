"""What open dims are counted with: the batch as it is asked for, others at their limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from ..ir.graph import Graph, Unit
from ..ir.least import least_sizes
from ..semantics.bounds import limit, value_at
from ..semantics.number import Number, opened, written
from ..semantics.tensor import Tensor


@dataclass(frozen=True)
class Sizes:
    """What open dims are counted with, by name."""

    known: Mapping[str, int]

    def with_rows(self, unit: Unit, rows: int) -> Sizes:
        """With the first dim of what comes into a unit, [rows, D], that no input of the model says: tokens of an
        expert."""
        (entering, *_) = unit.inputs
        assert isinstance(entering.type, Tensor)
        return Sizes({**self.known, written(entering.type.dims[0]): rows})

    def of(self, n: Number) -> int:
        size = value_at(n, lambda reference: Fraction(self.known[reference.name]))
        assert size is not None
        return int(size)


def open_dims(
    graph: Graph, known: Mapping[str, int] = MappingProxyType({})
) -> tuple[dict[str, int], dict[str, int], tuple[str, ...]]:
    """The batch, as one example; all other open dims as they are known, else at their limits; the names of those that
    have none, which are as small as they may be.

    The batch is what the first axis of the inputs is called.
    """
    batch: dict[str, int] = {}
    sizes: dict[str, int] = {}
    unbounded: dict[str, None] = {}
    types = [value.type for value in graph.model.inputs if isinstance(value.type, Tensor)]
    for type_ in types:
        for axis, dim in enumerate(type_.dims):
            for reference in opened(dim):
                name, most = reference.name, limit(reference)
                if name in sizes or name in batch:
                    continue
                if axis == 0:
                    batch[name] = 1
                elif name in known:
                    sizes[name] = known[name]
                elif most is not None:
                    sizes[name] = int(most)
                else:
                    unbounded[name] = None
    if unbounded:
        smallest = least_sizes(graph)
        sizes |= {name: smallest.get(name, 1) for name in unbounded}
    return batch, sizes, tuple(unbounded)
