"""The layers and functions of a model at their places, with what each costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from ..ir.graph import (
    Apply,
    Copies,
    Experts,
    LayerModule,
    Loop,
    Momentum,
    Node,
    Unit,
    UnitModule,
    input_type,
    regions,
)
from ..ir.weights import module_weights
from ..layers.base import Layer
from ..layers.registry import stem
from ..semantics.number import Reference, product, spelled
from ..semantics.tensor import Tensor
from .sizes import Sizes


@dataclass(frozen=True)
class LayerCost:
    """A layer or function at its place in the model; `flops` are those of one example's forward pass, `hidden` those of
    them whose results a causal mask hides."""

    name: str
    type: str
    shape: tuple[int | str, ...]
    parameters: int
    flops: int
    hidden: int = 0

    def times(self, factor: int | Fraction) -> LayerCost:
        """What it costs to run it so often."""
        return replace(self, flops=round(self.flops * factor), hidden=round(self.hidden * factor))


def unit_layers(unit: Unit, prefix: str, sizes: Sizes, *, alike: bool) -> Iterator[LayerCost]:
    """Those of a unit in the order in which they run; `alike` puts copies that cost the same together.

    A module that runs again costs no further parameters, and one that is borrowed costs them where it lies.
    """
    paid: set[str] = set()
    used: dict[str, int] = {}

    def costs(nodes: Iterable[Node]) -> Iterator[LayerCost]:
        for node in nodes:
            match node.op:
                case Apply(layer=layer):
                    yield _layer(node, layer)
                case Loop(count=count, body=body):
                    for cost in costs(body.nodes):
                        yield cost.times(sizes.of(count))
                case op if found := regions(op):
                    for region in found:
                        yield from costs(region.nodes)
                case _ if node.module is not None:
                    yield from _first_time(node.module, _module(node.module, node))

    def _module(name: str, node: Node) -> Iterator[LayerCost]:
        borrowed = unit.borrowed(name)
        path = f"{prefix}{name if borrowed is None else '.'.join(borrowed.path)}"
        match unit.module(name):
            case UnitModule(unit=inner):
                yield from unit_layers(inner, f"{path}.", sizes, alike=alike)
            case Copies(units=units):
                yield from _copies(units, path, sizes, alike=alike)
            case Experts(router=router, units=units, top=top, count=count):
                yield _cost(router, f"{path}.{router.name}", router.layer.infer(router.inputs[0])[0], sizes)
                rows = sizes.of(product(input_type(node).dims[:-1]))
                share = Fraction(sizes.of(top), sizes.of(count))
                for cost in _copies(units, f"{path}.experts", sizes.with_rows(units[0], rows), alike=alike):
                    yield cost.times(share)
            case Momentum(of=LayerModule() as of):
                yield replace(_cost(of, path, of.layer.infer(of.inputs[0])[0], sizes), parameters=0)
            case Momentum(of=UnitModule(unit=inner)):
                for cost in unit_layers(inner, f"{path}.", sizes, alike=alike):
                    yield replace(cost, parameters=0)

    def _first_time(name: str, inside: Iterator[LayerCost]) -> Iterator[LayerCost]:
        again = name in paid or unit.borrowed(name) is not None
        paid.add(name)
        for cost in inside:
            yield replace(cost, parameters=0) if again else cost

    def _layer(node: Node, layer: Layer) -> LayerCost:
        module = unit.module(node.module) if node.module else None
        leaving = node.output.type
        assert isinstance(leaving, Tensor)
        if node.module is not None and isinstance(module, LayerModule):
            (cost,) = _first_time(node.module, iter([_cost(module, f"{prefix}{module.name}", leaving, sizes)]))
            return cost
        name = stem(layer.word)
        used[name] = used.get(name, 0) + 1
        name = name if used[name] == 1 else f"{name}_{used[name]}"
        return LayerCost(f"{prefix}{name}", layer.word, shape(leaving), 0, *_flops(layer, input_type(node), sizes))

    yield from costs(unit.nodes)


def _cost(module: LayerModule, path: str, leaving: Tensor, sizes: Sizes) -> LayerCost:
    parameters = sum(weight.count for weight in module_weights(module, "") if not weight.shared)
    flops = _flops(module.layer, module.inputs[0], sizes)
    return LayerCost(path, module.layer.word, shape(leaving), parameters, *flops)


def _flops(layer: Layer, x: Tensor, sizes: Sizes) -> tuple[int, int]:
    """All, and those that are hidden."""
    found = (layer.flops(x), layer.hidden_flops(x))
    return (0 if found[0] is None else sizes.of(found[0])), (0 if found[1] is None else sizes.of(found[1]))


def _copies(units: tuple[Unit, ...], path: str, sizes: Sizes, *, alike: bool) -> Iterator[LayerCost]:
    runs: list[tuple[int, int, list[LayerCost]]] = []
    for index, unit in enumerate(units):
        inside = list(unit_layers(unit, "", sizes, alike=alike))
        if alike and runs and runs[-1][2] == inside:
            first, _, same = runs[-1]
            runs[-1] = (first, index, same)
        else:
            runs.append((index, index, inside))
    for first, last, inside in runs:
        count = last - first + 1
        which = f"{first}" if count == 1 else f"{first}-{last}"
        for cost in inside:
            name = f"{path}.{which}.{cost.name}"
            yield replace(cost.times(count), name=name, parameters=cost.parameters * count)


def shape(type_: Tensor) -> tuple[int | str, ...]:
    """Known dims as numbers, open ones as they are called."""
    return tuple(int(d.value) if d.value is not None else spelled(d, _outermost) for d in type_.dims)


def _outermost(reference: Reference) -> str:
    """An open dim by the name that the model's input gives it."""
    target = reference.target
    if target is None or reference.value is not None:
        return reference.name
    return spelled(target, _outermost)
