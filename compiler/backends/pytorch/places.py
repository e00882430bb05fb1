"""Where a `forward` finds what is known only at run time: the sizes of its arguments, a weight of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...ir.graph import Copies, LayerModule, Unit, UnitModule, Value
from ...layers.base import Layer
from ...semantics.evaluate import is_number
from ...semantics.number import Number, Reference, equal, number, operation, polynomial, references
from ...semantics.tensor import Tensor


def size_text(dim: Reference, inputs: Mapping[Value, str]) -> str | None:
    """An open dim as Python: `image.shape[0]`, or `image.shape[2] // 16` where an input is `16 * H` long.

    None where no input says it.
    """
    axes = [
        (name, axis, size)
        for value, name in inputs.items()
        if isinstance(value.type, Tensor)
        for axis, size in enumerate(value.type.dims)
    ]
    for name, axis, size in axes:
        if equal(size, dim):
            return f"{name}.shape[{axis}]"
    for name, axis, size in axes:
        factor = _multiple(size, dim)
        if factor is not None:
            return f"{name}.shape[{axis}] // {factor}"
    return None


def _multiple(size: object, dim: Reference) -> int | None:
    """The whole number by which `dim` is multiplied in `size`, where that is all of it."""
    terms = polynomial(size)  # type: ignore[arg-type]
    factor = next(iter(terms.values()), None) if len(terms) == 1 else None
    whole = factor is not None and factor.denominator == 1
    return int(factor) if whole and factor and equal(size, operation("*", number(factor), dim)) else None  # type: ignore[arg-type]


def first_weight(unit: Unit, path: str = "self") -> str | None:
    """The first parameter of a unit, `self.blocks[0].attn.q.weight`, or None where it has none."""
    for module in unit.modules:
        match module:
            case LayerModule(name=name, layer=layer, inputs=inputs):
                keys = layer.parameters(inputs[0])
                found = next((f"{path}.{name}.{key}".rstrip(".") for key in keys), None)
            case UnitModule(name=name, unit=inner):
                found = first_weight(inner, f"{path}.{name}")
            case Copies(name=name, units=units):
                found = first_weight(units[0], f"{path}.{name}[0]") if units else None
            case _:
                found = None
        if found is not None:
            return found
    return None


def out_of_reach(layer: Layer, unit: Unit) -> str | None:
    """An open dim among a layer's options that no input of the unit says, by its name."""
    inputs = {value: value.name or "" for value in unit.inputs}
    for name in layer.options:
        for n in _numbers(getattr(layer, name)):
            for reference in references(n):
                if n.value is None and not _reached(reference, inputs):
                    return reference.name
    return None


def _numbers(option: object) -> Iterator[Number]:
    if is_number(option):
        yield option
    elif isinstance(option, tuple):
        for part in option:
            yield from _numbers(part)


def _reached(reference: Reference, inputs: Mapping[Value, str]) -> bool:
    if reference.value is not None or size_text(reference, inputs) is not None:
        return True
    return reference.target is not None and all(_reached(inner, inputs) for inner in references(reference.target))
