"""Momentum copies follow their modules: the method `update_copies` of emitted classes."""

from __future__ import annotations

from ...ir.graph import Copies, Experts, Momentum, Unit, UnitModule
from ...layers.base import Code
from .names import item_name


def write_update_copies(unit: Unit, code: Code) -> list[str]:
    """The lines of the method; none where neither the unit nor one inside has a copy."""
    body = _body(unit, code)
    if not body:
        return []
    head = ["    @torch.no_grad()"] if unit.kind == "model" else []
    return [
        "",
        *head,
        "    def update_copies(self) -> None:",
        '        """Let each momentum copy follow its module: to be called after each update of the weights."""',
        *(f"        {line}" for line in body),
    ]


def _body(unit: Unit, code: Code) -> list[str]:
    lines: list[str] = []
    for module in unit.modules:
        match module:
            case Momentum(name=name, of=of, rate=rate):
                lines += [
                    f"pairs = zip(self.{name}.parameters(), self.{of.name}.parameters(), strict=True)",
                    "for copy, own in pairs:",
                    f"    copy.lerp_(own, 1 - {code.number(rate)})",
                ]
            case UnitModule(name=name, unit=inner) if _has_copies(inner):
                lines.append(f"self.{name}.update_copies()")
            case Experts(name=name, units=units) if _has_copies(units[0]):
                lines += [f"for expert in self.{name}.experts:", "    expert.update_copies()"]
            case Copies(name=name, units=units):
                having = [i for i, inner in enumerate(units) if _has_copies(inner)]
                if len(having) == len(units):
                    lines += [f"for {item_name(module)} in self.{name}:", f"    {item_name(module)}.update_copies()"]
                else:
                    lines += [f"self.{name}[{i}].update_copies()" for i in having]
    return lines


def _has_copies(unit: Unit) -> bool:
    for module in unit.modules:
        match module:
            case Momentum():
                return True
            case UnitModule(unit=inner):
                if _has_copies(inner):
                    return True
            case Copies(units=units) | Experts(units=units):
                if any(map(_has_copies, dict.fromkeys(units))):
                    return True
    return False
