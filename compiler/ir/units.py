"""A graph with each of its units changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .graph import Borrowed, Copies, Experts, Graph, Module, Momentum, Unit, UnitModule


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
            case Borrowed(module=UnitModule() | Copies() as lent):
                return replace(module, module=module_changed(lent))
        return module

    return replace(graph, model=unit_changed(graph.model))
