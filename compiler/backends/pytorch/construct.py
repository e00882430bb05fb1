"""The modules of a class as its `__init__` makes them."""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.graph import Copies, Experts, LayerModule, Module, Momentum, Unit, UnitModule
from ...layers.held import Held
from ...semantics.number import Number, Reference, outward
from .class_code import ClassCode
from .experts import construct_experts


@dataclass
class ClassText:
    """A class as it will stand in the file. `arguments` are the numbers its maker hands in besides `config`, with the
    names that they have in the class, in its order of them."""

    name: str
    source: str
    arguments: dict[Reference, str]
    takes_config: bool
    initialises: bool


def construct(
    module: Module, within: dict[str, list[Module]], inner: dict[Unit, ClassText], code: ClassCode
) -> list[str]:
    """The lines of `__init__` for a module; `within` are those of its unit by the layer that they lie inside."""
    made = _made(module, within, inner, code)
    lines = [] if made is None else [f"self.{module.name} = {made}"]
    if isinstance(module, Momentum) and not code.exporting:
        lines.append(f"self.{module.name}.requires_grad_(False)")
    return lines


def _made(module: Module, within: dict[str, list[Module]], inner: dict[Unit, ClassText], code: ClassCode) -> str | None:
    """The expression that makes a module; None for what is borrowed, which is made elsewhere."""
    match module:
        case LayerModule(name=name, layer=layer, inputs=inputs):
            code.holding = [_held(each, within, inner, code) for each in within.get(name, ())]
            made = layer.constructor(inputs[0], code)
            code.holding = ()
            return made
        case Momentum(of=of):
            return _made(of, within, inner, code)
        case Experts(count=count, units=units):
            made = f"[{_copies(count, units, inner, code)}]"
            return construct_experts(module, made, code, code.file.balance, draws=inner[units[0]].initialises)
        case UnitModule(unit=unit):
            return _make_unit(unit, inner, code)
        case Copies(count=count, units=units):
            return f"nn.ModuleList({_copies(count, units, inner, code)})"
    return None


def _held(module: Module, within: dict[str, list[Module]], inner: dict[Unit, ClassText], code: ClassCode) -> Held:
    made = _made(module, within, inner, code)
    assert made is not None
    is_tensor = isinstance(module, LayerModule) and "" in module.layer.parameters(module.inputs[0])
    return Held(module.name.rpartition(".")[2], "nn.Parameter" if is_tensor else "nn.Module", made)


def _make_unit(unit: Unit, inner: dict[Unit, ClassText], code: ClassCode, index: str = "") -> str:
    """The call that makes a unit's module: `Mlp(config, hidden=4 * config.dim)`.

    `index` is what a copy gets for the index of its repeat: the variable of the comprehension, or a number.
    """
    text = inner[unit]
    arguments = ["config"] if text.takes_config else []
    for argument, name in text.arguments.items():
        if _is_own_index(argument, unit):
            given = index
        else:
            given = code.number(outward(argument, unit.scope))
        arguments.append(f"{name}={given}")
    code.uses_config |= text.takes_config
    return f"{text.name}({', '.join(arguments)})"


def _is_own_index(argument: Reference, unit: Unit) -> bool:
    return argument.kind == "index" and argument.owner == unit.scope


def _copies(count: Number, units: tuple[Unit, ...], inner: dict[Unit, ClassText], code: ClassCode) -> str:
    """The copies as a comprehension where one expression makes them all, else one after the other."""
    index = next((a.name for a in inner[units[0]].arguments if _is_own_index(a, units[0])), "_")
    made = {_make_unit(unit, inner, code, index) for unit in units}
    if len(made) == 1:
        return f"{made.pop()} for {index} in range({code.number(count)})"
    return f"[{', '.join(_make_unit(unit, inner, code, str(i)) for i, unit in enumerate(units))}]"
