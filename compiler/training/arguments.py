"""What the values of `loss` and `metrics` are called in the emitted functions."""

from __future__ import annotations

from collections.abc import Iterable
from keyword import iskeyword

from .measure import Value

_MODULES = frozenset({"math", "nn", "torch"})


def argument_names(values: Iterable[Value]) -> dict[str, str]:
    """Source ("data.label") -> argument, in the order of first use.

    An argument has the name that the spec uses; where a field of the data has the name of a port, it is `data_label`.
    """
    names: dict[str, str] = {}
    for value in values:
        if value.origin == "constant" or value.source in names:
            continue
        name = f"{value.name}_" if iskeyword(value.name) or value.name in _MODULES else value.name
        if name in names.values():
            name = f"{value.origin}_{value.name}"
        names[value.source] = name
    return names
