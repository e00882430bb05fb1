"""What a model holds by its checkpoint keys, running statistics too, and which parameters are one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir.graph import Graph
from ...ir.weights import buffers, weights
from .weights import WeightFault, WeightSource


@dataclass(frozen=True)
class Parameters:
    """`shapes` by key, parameters in the order of the model, then running statistics.

    `ties` leads from a key to that of the parameter it stands for.
    """

    shapes: dict[str, tuple[int, ...]]
    ties: dict[str, str]

    def key(self, key: str) -> str:
        """The key under which a parameter is kept: its own, or the first of those tied together."""
        return self.ties.get(key, key)

    def match(self, given: Mapping[str, WeightSource]) -> dict[str, WeightSource]:
        """The weight of each parameter. Raises WeightFault that lists all that do not fit."""
        found: dict[str, WeightSource] = {}
        faults: list[str] = []
        for key, shape in self.shapes.items():
            names = [key, *(alias for alias, kept in self.ties.items() if kept == key)]
            source = next((given[name] for name in names if name in given), None)
            if source is None:
                faults.append(f"`{key}` {list(shape)} is missing")
            elif source.shape != shape:
                faults.append(f"`{key}` is {list(source.shape)}; the model has {list(shape)}")
            else:
                found[key] = source
        faults += [f"`{name}` is not of this model" for name in given if self.key(name) not in self.shapes]
        if faults:
            more = [] if len(faults) <= 12 else [f"and {len(faults) - 12} more"]
            raise WeightFault("\n  ".join(["the weights are not those of this model:", *faults[:12], *more]))
        return found


def parameters(graph: Graph) -> Parameters:
    """Those of a model. A tied parameter is kept under the first of its keys, as PyTorch's `named_parameters` does."""
    listed = [*weights(graph), *buffers(graph)]
    tied_to = {weight.key: weight.tied_to for weight in listed}

    def root(key: str) -> str:
        while (other := tied_to.get(key)) is not None:
            key = other
        return key

    first: dict[str, str] = {}
    kept = {weight.key: first.setdefault(root(weight.key), weight.key) for weight in listed}
    return Parameters(
        shapes={weight.key: weight.shape for weight in listed if kept[weight.key] == weight.key},
        ties={key: other for key, other in kept.items() if other != key},
    )
