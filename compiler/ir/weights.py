"""What a graph holds by its key in the checkpoint: parameters, and buffers, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod

from ...grammar.frozen import Frozen
from ..semantics.number import whole
from .graph import Borrowed, Copies, Experts, Graph, LayerModule, Module, Momentum, Unit, UnitModule


class Weight(Frozen):
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
    for module, way in _layers(unit, (prefix,)):
        yield from layer_weights(module, way)


def buffers(graph: Graph) -> Iterator[Weight]:
    """Every tensor that the checkpoint holds and nothing trains, under its key: running statistics, momentum copies."""
    yield from _statistics(_layers(graph.model, ("",)))
    yield from _copied(graph.model, ("",))


def _copied(unit: Unit, way: tuple[str, ...]) -> Iterator[Weight]:
    """What the momentum copies of a unit hold: those that what they copy has inside, too."""
    for copy, around in _copies_of_modules(unit, way):
        match copy.of:
            case LayerModule() as of:
                own = replace(of, name=copy.name, tie=None)
                yield from layer_weights(own, around)
                yield from _statistics([(own, around)])
            case UnitModule(unit=inner):
                for module, inside in _layers(inner, (f"{around[-1]}{copy.name}.",)):
                    is_outer = module.tie is not None and module.tie.up >= len(inside)
                    # What is shared with what is not copied is the copy's own.
                    yield from layer_weights(replace(module, tie=None) if is_outer else module, inside)
                yield from _statistics(_layers(inner, (f"{around[-1]}{copy.name}.",)))
                yield from _copied(inner, (f"{around[-1]}{copy.name}.",))


def momentum_copies(graph: Graph) -> dict[str, str]:
    """The path of every momentum copy, with that of what it follows."""
    return {f"{way[-1]}{copy.name}": f"{way[-1]}{copy.of.name}" for copy, way in _copies_of_modules(graph.model, ("",))}


def _layers(unit: Unit, way: tuple[str, ...]) -> Iterator[tuple[LayerModule, tuple[str, ...]]]:
    """Every layer that holds weights or state; with it, for its unit and those around that, the unit's own last, what
    begins their keys."""
    return ((module, its) for module, its in _leaves(unit, way) if isinstance(module, LayerModule))


def _statistics(layers: Iterable[tuple[LayerModule, tuple[str, ...]]]) -> Iterator[Weight]:
    """The running statistics of layers."""
    for module, way in layers:
        for key, buffer in module.layer.buffers(module.inputs[0]).items():
            yield Weight(f"{way[-1]}{module.name}.{key}", tuple(map(whole, buffer.dims)))


def _copies_of_modules(unit: Unit, way: tuple[str, ...]) -> Iterator[tuple[Momentum, tuple[str, ...]]]:
    """Every momentum copy, as `_layers`."""
    return ((module, its) for module, its in _leaves(unit, way) if isinstance(module, Momentum))


def _leaves(unit: Unit, way: tuple[str, ...]) -> Iterator[tuple[LayerModule | Momentum, tuple[str, ...]]]:
    """Layers, the routers of experts and momentum copies, which are not looked into."""
    for module in unit.modules:
        match module:
            case LayerModule() | Momentum():
                yield module, way
            case UnitModule(name=name, unit=inner):
                yield from _leaves(inner, (*way, f"{way[-1]}{name}."))
            case Copies(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from _leaves(inner, (*way, f"{way[-1]}{name}.{i}."))
            case Experts(name=name, router=router, units=units):
                yield router, (*way, f"{way[-1]}{name}.")
                for i, inner in enumerate(units):
                    yield from _leaves(inner, (*way, f"{way[-1]}{name}.experts.{i}."))


def module_weights(module: LayerModule, prefix: str) -> Iterator[Weight]:
    """The parameters of one layer, whose unit's keys begin with `prefix`; a weight of a unit further out is shared with
    what is not known here."""
    further_out = 0 if module.tie is None else module.tie.up
    yield from layer_weights(module, (*("",) * further_out, prefix))


def layer_weights(module: LayerModule, way: tuple[str, ...]) -> Iterator[Weight]:
    """The parameters of one layer; `way` is what begins the keys of its unit, last, and of the units around that."""
    for key, parameter in module.layer.parameters(module.inputs[0]).items():
        tie = module.tie if key == "weight" else None
        tied_to = way[-1 - tie.up] + ".".join(tie.path) if tie is not None else None
        # A layer that is nothing but a parameter (`Weight`) has it under its own name: the key is empty.
        name = f"{way[-1]}{module.name}.{key}" if key else f"{way[-1]}{module.name}"
        yield Weight(name, tuple(map(whole, parameter.dims)), tied_to)


def module_paths(modules: Iterable[Module], prefix: str = "") -> Iterator[str]:
    """The path of every module of its own, `blocks.0.attn`: what begins the keys of its weights."""
    for module in modules:
        if isinstance(module, Borrowed):
            continue
        path = f"{prefix}{module.name}"
        yield path
        match module:
            case LayerModule(layer=layer, inputs=inputs) | Momentum(of=LayerModule(layer=layer, inputs=inputs)):
                yield from (f"{path}.{part}" for part in layer.inside(inputs[0]))
            case UnitModule(unit=unit) | Momentum(of=UnitModule(unit=unit)):
                yield from module_paths(unit.modules, f"{path}.")
            case Copies(units=units):
                for i, unit in enumerate(units):
                    yield f"{path}.{i}"
                    yield from module_paths(unit.modules, f"{path}.{i}.")
            case Experts(units=units):
                yield f"{path}.router"
                for i, unit in enumerate(units):
                    yield f"{path}.experts.{i}"
                    yield from module_paths(unit.modules, f"{path}.experts.{i}.")


def parameter_count(graph: Graph) -> int:
    """Trained numbers, tied ones counted once."""
    return sum(weight.count for weight in weights(graph) if not weight.shared)
