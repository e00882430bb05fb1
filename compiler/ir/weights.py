"""What a graph holds by its key in the checkpoint: parameters, and buffers, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..semantics.number import whole
from .graph import Copies, Graph, LayerModule, Unit, UnitModule


@dataclass(frozen=True)
class Weight:
    """One tensor of the checkpoint; `tied_to` is the key of another that it is, where a layer shares what is made."""

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
    for module, path in _layers(unit, prefix):
        yield from module_weights(module, path)


def buffers(graph: Graph) -> Iterator[Weight]:
    """Every tensor that the checkpoint holds and nothing trains: running statistics, under their keys."""
    for module, path in _layers(graph.model, ""):
        for key, buffer in module.layer.buffers(module.inputs[0]).items():
            yield Weight(f"{path}{module.name}.{key}", tuple(map(whole, buffer.dims)))


def _layers(unit: Unit, prefix: str) -> Iterator[tuple[LayerModule, str]]:
    """Every layer that holds weights or state, and what comes before its name in a key."""
    for module in unit.modules:
        match module:
            case LayerModule():
                yield module, prefix
            case UnitModule(name=name, unit=inner):
                yield from _layers(inner, f"{prefix}{name}.")
            case Copies(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from _layers(inner, f"{prefix}{name}.{i}.")


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
