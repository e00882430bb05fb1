"""Modules that a class runs and another owns: `self.blocks[0].attn`, or what its caller hands to `forward`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...ir.graph import Borrowed, Copies, Experts, LayerModule, Module, Unit, UnitModule
from ...ir.units import inside


@dataclass(frozen=True)
class Lent:
    """A module that the caller of a `forward` hands in: it lies at `path` in the unit `up` levels further out."""

    up: int
    path: tuple[str, ...]

    @property
    def text(self) -> str:
        """The module, seen from the unit that has it."""
        return f"self{attribute(self.path)}"


def attribute(path: Sequence[str]) -> str:
    """`.blocks[0].attn`"""
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in path)


def lent_to(unit: Unit) -> dict[Lent, str]:
    """What a unit is handed, under the names that its `forward` gives them: for its own nodes and the units inside."""
    found: dict[Lent, str] = {}
    for lent in _needs(unit):
        if lent not in found:
            stem = next(part for part in reversed(lent.path) if not part.isdecimal())
            name, number = stem, 2
            while name in found.values():
                name, number = f"{stem}_{number}", number + 1
            found[lent] = name
    return found


def _needs(unit: Unit) -> Iterator[Lent]:
    for module in unit.modules:
        match module:
            case Borrowed(up=up, path=path) if up:
                yield Lent(up, path)
            case _:
                for inner in dict.fromkeys(inside(module)):
                    yield from (Lent(need.up - 1, need.path) for need in _needs(inner) if need.up > 1)


def handed_on(module: Module, own: dict[Lent, str]) -> list[str]:
    """What a unit hands to a module of it, as arguments: its own modules, and what it was handed itself."""
    arguments: list[str] = []
    inner = inside(module)
    for lent in lent_to(inner[0]) if inner else ():  # what copies are handed is one
        further_out = Lent(lent.up - 1, lent.path)
        arguments.append(further_out.text if further_out.up == 0 else own[further_out])
    return arguments


def module_text(unit: Unit, name: str, own: dict[Lent, str]) -> str:
    """How a `forward` calls a module of its unit, or one that it borrows."""
    borrowed = unit.borrowed(name)
    if borrowed is None:
        return f"self.{name}"
    lent = Lent(borrowed.up, borrowed.path)
    return lent.text if borrowed.up == 0 else own[lent]


def ties(unit: Unit) -> list[tuple[str, str]]:
    """The weights of a unit's layers, however deep, that are parameters of this very unit: (weight, parameter)."""
    return list(_ties(unit, "self", 0))


def tying(unit: Unit, place: str) -> Iterator[str]:
    """Where units with weights of that kind lie, in a unit that lies at `place` itself."""
    if ties(unit):
        yield place
    for module in unit.modules:
        match module:
            case UnitModule(name=name, unit=inner):
                yield from tying(inner, f"{place}.{name}")
            case Copies(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from tying(inner, f"{place}.{name}[{i}]")
            case Experts(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from tying(inner, f"{place}.{name}.experts[{i}]")


def _ties(unit: Unit, place: str, depth: int) -> Iterator[tuple[str, str]]:
    for module in unit.modules:
        match module:
            case LayerModule(name=name, tie=tie) if tie is not None and tie.up == depth:
                yield f"{place}.{name}.weight", f"self{attribute(tie.path)}"
            case UnitModule(name=name, unit=inner):
                yield from _ties(inner, f"{place}.{name}", depth + 1)
            case Copies(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from _ties(inner, f"{place}.{name}[{i}]", depth + 1)
            case Experts(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from _ties(inner, f"{place}.{name}.experts[{i}]", depth + 1)
