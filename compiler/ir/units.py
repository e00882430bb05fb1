"""Every unit of a graph: one after the other, or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..layers.base import Layer
from .graph import Apply, Borrowed, Copies, Experts, Graph, Module, Momentum, Unit, UnitModule, all_nodes


def inside(module: Module | None) -> tuple[Unit, ...]:
    """The units that a module runs."""
    match module:
        case UnitModule(unit=unit):
            return (unit,)
        case Copies(units=units) | Experts(units=units):
            return units
    return ()


def made_of(module: Module | None) -> tuple[Unit, ...]:
    """The units that a module is made of, those that a momentum copy runs too."""
    return inside(module.of if isinstance(module, Momentum) else module)


def units_in(unit: Unit) -> Iterator[Unit]:
    """The unit and those inside it; copies that do not differ once."""
    yield unit
    for module in unit.modules:
        for inner in dict.fromkeys(made_of(module)):
            yield from units_in(inner)


def layers_in(unit: Unit) -> Iterator[Layer]:
    """The layers and functions that run in a unit and those inside it."""
    for inner in units_in(unit):
        for node in all_nodes(inner.nodes):
            if isinstance(node.op, Apply):
                yield node.op.layer


def with_units(graph: Graph, change: Callable[[Unit], Unit]) -> Graph:
    """`change` gets each unit once, with those inside it changed already; a unit that stands in several places stays
    one."""
    done: dict[Unit, Unit] = {}

    def unit_changed(unit: Unit) -> Unit:
        if unit not in done:
            done[unit] = change(replace(unit, modules=tuple(map(module_changed, unit.modules))))
        return done[unit]

    def module_changed(module: Module) -> Module:
        match module:
            case UnitModule():
                return replace(module, unit=unit_changed(module.unit))
            case Copies() | Experts():
                return replace(module, units=tuple(map(unit_changed, module.units)))
            case Momentum(of=UnitModule() as of):
                return replace(module, of=module_changed(of))
            case Borrowed(module=UnitModule() | Copies() | Experts() | Momentum() as lent):
                return replace(module, module=module_changed(lent))
        return module

    return replace(graph, model=unit_changed(graph.model))
