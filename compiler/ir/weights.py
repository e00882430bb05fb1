"""The parameters of a graph by their key in the checkpoint, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..semantics.number import whole
from .graph import Copies, Graph, LayerModule, Unit, UnitModule


@dataclass(frozen=True)
class Weight:
    """One trained tensor; `tied_to` is the key of another that it is, where a layer shares what another has made."""

    key: str
    shape: tuple[int, ...]
    tied_to: str | None = None

    @property
    def shared(self) -> bool:
        return self.tied_to is not None

    @property
    def count(self) -> int:
        return prod(self.shape)


def weights(graph: Graph) -> Iterator[Weight]:
    """Every parameter under its key, `blocks.0.attn.q.weight`."""
    yield from unit_weights(graph.model, "")


def unit_weights(unit: Unit, prefix: str) -> Iterator[Weight]:
    for module in unit.modules:
        match module:
            case LayerModule():
                yield from module_weights(module, prefix)
            case UnitModule(name=name, unit=inner):
                yield from unit_weights(inner, f"{prefix}{name}.")
            case Copies(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from unit_weights(inner, f"{prefix}{name}.{i}.")


def module_weights(module: LayerModule, prefix: str) -> Iterator[Weight]:
    for key, parameter in module.layer.parameters(module.inputs[0]).items():
        tie = module.tie if key == "weight" else None
        tied_to = prefix + ".".join(tie.path) if tie is not None else None
        # A layer that is nothing but a parameter (`Weight`) has it under its own name: the key is empty.
        name = f"{prefix}{module.name}.{key}" if key else f"{prefix}{module.name}"
        yield Weight(name, tuple(map(whole, parameter.dims)), tied_to)


def parameter_count(graph: Graph) -> int:
    """Trained numbers, tied ones counted once."""
    return sum(weight.count for weight in weights(graph) if not weight.shared)
