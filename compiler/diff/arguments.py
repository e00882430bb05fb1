"""What blocks were given: the numbers behind their parameters, found where their layers use them."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir.graph import Copies, Experts, LayerModule, Module, Unit, UnitModule
from ..options import OptionSet
from ..semantics.evaluate import is_number
from ..semantics.number import Number, Reference, references


def arguments(unit: Unit) -> dict[str, Number]:
    """Of one block where it is used: its parameters that are numbers, and what the caller wrote for each."""
    found: dict[str, Number] = {}
    for layer in _layers(unit.modules):
        for number in _numbers(layer):
            for reference in _all_references(number):
                if reference.kind == "parameter" and reference.owner == unit.scope and reference.target is not None:
                    found.setdefault(reference.name, reference.target)
    return found


def _layers(modules: tuple[Module, ...]) -> Iterator[OptionSet]:
    for module in modules:
        match module:
            case LayerModule(layer=layer):
                yield layer
            case UnitModule(unit=unit):
                yield from _layers(unit.modules)
            case Copies(units=units) | Experts(units=units):
                for unit in units[:1]:  # the others are given the same
                    yield from _layers(unit.modules)


def _numbers(value: object) -> Iterator[Number]:
    if is_number(value):
        yield value
    elif isinstance(value, OptionSet):
        for name in value.options:
            yield from _numbers(getattr(value, name))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _numbers(one)


def _all_references(number: Number) -> Iterator[Reference]:
    """Those that a number was written with, and those behind them."""
    for reference in references(number):
        yield reference
        if reference.target is not None:
            yield from _all_references(reference.target)
