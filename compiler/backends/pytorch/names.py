"""Names of emitted classes, functions and variables, all from the spec."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import count

from ...build.labels import FILE_NAMES
from ...ir.graph import Copies, Unit
from ...ir.reads import named_values


def item_name(copies: Copies) -> str:
    """The variable of a loop over copies: `block` for `blocks`, else the class in small letters."""
    return singular(copies.name.rpartition(".")[2])


def singular(label: str) -> str:
    """`blocks` -> `block`, `layers` -> `layer`, `encoder` -> `encoder_layer`."""
    if label.endswith("ies") and len(label) > 4:
        return f"{label[:-3]}y"
    if label.endswith("s") and not label.endswith("ss") and len(label) > 2:
        return label[:-1]
    return f"{label}_layer"


def class_name(unit: Unit) -> str:
    """The class a unit would like to be called: a block's or model's own name, a label as `CapWords`."""
    if unit.kind in ("model", "block"):
        return unit.name
    label = unit.name.rpartition(".")[2]
    label = singular(label) if unit.kind == "copy" else label
    return "".join(part.capitalize() for part in label.split("_")) or "Group"


def free_class(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken."""
    number = 1
    while True:
        candidate = name if number == 1 else f"{name}{number}"
        if candidate not in taken | FILE_NAMES:
            return candidate
        number += 1


_SHADOWING = frozenset({"self", "config", "torch", "nn", "math", "dataclass", "checkpoint"})
_AMBIGUOUS = frozenset({"l", "I", "O"})


def safe_name(name: str) -> str:
    """A port's or value's name as a variable: one that hides an import or reads like a digit gets an underscore."""
    return f"{name}_" if name in _SHADOWING | _AMBIGUOUS else name


FRESH = ("x", "h", "y", "z", "u", "v", "w")
"""What values without a name are called, with numbers behind them where these are all needed."""
_FRESH = re.compile(rf"[{''.join(FRESH)}]\d*")
_HELPERS = frozenset(
    """
    alibi_slopes forget_balance init_as_made init_bias init_conv init_linear init_recurrent sample_normal
    """.split()
)
"""The functions that emitted files have of themselves."""


def function_name(name: str, variables: Collection[str]) -> str:
    """A function of the spec in an emitted file, where some `forward` may have a variable of that name."""
    name = safe_name(name)
    while name in variables or name in _HELPERS or _FRESH.fullmatch(name):
        name += "_"
    return name


def variables_of(units: Iterable[Unit]) -> frozenset[str]:
    """The names that the spec gives to what flows, and to what loops run over."""
    found: set[str] = set()
    for unit in units:
        found |= {*map(safe_name, named_values(unit)), *(safe_name(v.name) for v in unit.inputs if v.name)}
        found |= {item_name(module) for module in unit.modules if isinstance(module, Copies)}
    return frozenset(found)


def numbered_names(stem: str) -> Iterator[str]:
    """`x`, `x_2`, `x_3`, ..."""
    yield stem
    yield from (f"{stem}_{number}" for number in count(2))
