"""The parameters of a model by their checkpoint keys, and which of them are one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...ir.graph import Copies, LayerModule, Unit, UnitModule
from ...semantics.number import whole
from .weights import WeightFault, WeightSource


@dataclass(frozen=True)
class Parameters:
    """`shapes` by key, in the order of the model; `ties` leads from a key to that of the parameter it stands for."""

    shapes: dict[str, tuple[int, ...]]
    ties: dict[str, str]

    def key(self, key: str) -> str:
        """The key under which a parameter is kept: its own, or the first of those tied together."""
        return self.ties.get(key, key)

    def match(self, weights: Mapping[str, WeightSource]) -> dict[str, WeightSource]:
        """The weight of each parameter. Raises WeightFault that lists all that do not fit."""
        found: dict[str, WeightSource] = {}
        faults: list[str] = []
        for key, shape in self.shapes.items():
            names = [key, *(alias for alias, kept in self.ties.items() if kept == key)]
            source = next((weights[name] for name in names if name in weights), None)
            if source is None:
                faults.append(f"`{key}` {list(shape)} is missing")
            elif source.shape != shape:
                faults.append(f"`{key}` is {list(source.shape)}; the model has {list(shape)}")
            else:
                found[key] = source
        faults += [f"`{name}` is not of this model" for name in weights if self.key(name) not in self.shapes]
        if faults:
            more = [] if len(faults) <= 12 else [f"and {len(faults) - 12} more"]
            raise WeightFault("\n  ".join(["the weights are not those of this model:", *faults[:12], *more]))
        return found


def parameters(model: Unit) -> Parameters:
    """Those of a model. A tied parameter is kept under the first of its keys, as PyTorch's `named_parameters` does."""
    shapes: dict[str, tuple[int, ...]] = {}
    to: dict[str, str] = {}
    for key, shape, tied_to in _walk(model, ""):
        shapes[key] = shape
        if tied_to is not None:
            to[key] = tied_to

    def root(key: str) -> str:
        while key in to:
            key = to[key]
        return key

    first: dict[str, str] = {}
    ties: dict[str, str] = {}
    for key in shapes:
        kept = first.setdefault(root(key), key)
        if kept != key:
            ties[key] = kept
    return Parameters({key: shape for key, shape in shapes.items() if key not in ties}, ties)


def _walk(unit: Unit, prefix: str) -> Iterator[tuple[str, tuple[int, ...], str | None]]:
    for module in unit.modules:
        path = prefix + module.name
        match module:
            case LayerModule(layer=layer, inputs=inputs, tie=tie):
                for key, parameter in layer.parameters(inputs[0]).items():
                    tied = prefix + ".".join(tie.path) if tie is not None and key == "weight" else None
                    yield f"{path}.{key}", tuple(map(whole, parameter.dims)), tied
            case UnitModule(unit=inner):
                yield from _walk(inner, f"{path}.")
            case Copies(units=units):
                for i, copy in enumerate(units):
                    yield from _walk(copy, f"{path}.{i}.")
