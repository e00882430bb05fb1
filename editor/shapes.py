"""What the compiler has worked out about a place in the text: types that flow there, and parameters made there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from ..compiler.ir.graph import Copies, LayerModule, Module, Node, Region, Residual, Unit, UnitModule
from ..compiler.ir.weights import Weight, module_weights, unit_weights
from ..compiler.pipeline import Analysis
from ..compiler.semantics.number import Literal, Reference, spell
from ..grammar import tree

_Place = tuple[int, int]


@dataclass(frozen=True)
class Fact:
    """What is known of a stage: the types that come in and go out; `parameters` that it makes itself, those `shared`
    with another layer not counted; how many `times` it stands in the model."""

    incoming: str
    outgoing: str
    parameters: int
    shared: bool
    times: int


@dataclass(frozen=True, eq=False)
class Facts:
    """The facts of an analysis by place, empty where it has no graph."""

    analysis: Analysis

    def of(self, flow: tree.Node, was: Callable[[int, int], _Place | None]) -> Fact | None:
        """What is known of the value that a flow ends in. `was` says where a place of an edited text was before."""
        for end in _ends(flow):
            place = was(*end)
            if place is None:
                continue
            nodes, modules = self._placed[0].get(place, []), self._placed[1].get(place, [])
            if not nodes:
                continue
            node = nodes[0]
            weights = list(_weights(modules[0])) if modules else []
            return Fact(
                ", ".join(str(value.type) for value in node.inputs),
                ", ".join(str(value.type) for value in node.outputs),
                sum(prod(weight.shape) for weight in weights if not weight.shared),
                any(weight.shared for weight in weights),
                max(len(nodes), len(modules)),
            )
        return None

    def weights(self, flow: tree.Node, was: Callable[[int, int], _Place | None]) -> tuple[str, ...]:
        """The keys of the weights of a layer, below its own name."""
        places = [place for end in _ends(flow) if (place := was(*end)) is not None]
        modules = [module for place in places for module in self._placed[1].get(place, ())]
        layers = [module for module in modules if isinstance(module, LayerModule)]
        return tuple(weight.key.partition(".")[2] for module in layers[:1] for weight in module_weights(module, ""))

    def constant(self, name: str) -> str | None:
        """The value of a constant that is computed from others, or None where its text says it."""
        spec = self.analysis.spec
        if spec is None or name not in spec.scope.constants:
            return None
        found = spec.scope.find(name)
        target = found.target if isinstance(found, Reference) else None
        return None if target is None or target.value is None or isinstance(target, Literal) else spell(target.value)

    @cached_property
    def _placed(self) -> tuple[dict[_Place, list[Node]], dict[_Place, list[Module]]]:
        """Nodes and modules by the place that made them."""
        nodes: dict[_Place, list[Node]] = {}
        modules: dict[_Place, list[Module]] = {}
        seen: set[int] = set()
        for graph in self.analysis.graphs.values():
            for unit in _units(graph.model, seen):
                for node in _nodes(unit.nodes):
                    nodes.setdefault((node.span.start, node.span.end), []).append(node)
                for module in unit.modules:
                    modules.setdefault((module.span.start, module.span.end), []).append(module)
        return nodes, modules


def _units(unit: Unit, seen: set[int]) -> Iterator[Unit]:
    """A unit and all in it; copies that do not differ are one."""
    if id(unit) in seen:
        return
    seen.add(id(unit))
    yield unit
    for module in unit.modules:
        match module:
            case UnitModule(unit=inner):
                yield from _units(inner, seen)
            case Copies(units=units):
                for inner in units:
                    yield from _units(inner, seen)


def _nodes(nodes: tuple[Node, ...]) -> Iterator[Node]:
    for node in nodes:
        yield node
        if isinstance(node.op, Residual):
            for region in vars(node.op).values():
                if isinstance(region, Region):
                    yield from _nodes(region.nodes)


def _weights(module: Module) -> Iterator[Weight]:
    match module:
        case LayerModule():
            yield from module_weights(module, "")
        case UnitModule(unit=unit):
            yield from unit_weights(unit, "")
        case Copies(units=units):
            for unit in units:
                yield from unit_weights(unit, "")


def _ends(flow: tree.Node) -> Iterator[_Place]:
    """The places that a flow's last stage may have in the graph, from the outside in."""
    node: tree.Node | None = flow
    while node is not None:
        yield node.span.start, node.span.end
        match node:
            case tree.Then(stages=stages):
                node = stages[-1]
            case tree.Label(target=target):
                node = target
            case tree.Named(flow=inner) | tree.Binding(value=inner):
                node = inner
            case tree.Body(lines=lines) if lines:
                node = lines[-1]
            case _:
                return
