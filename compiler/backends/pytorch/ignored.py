"""Targets that do not count, in emitted functions: -100, and what else the loss ignores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...semantics.number import Number, whole, written
from ...training.measure import Value
from ...training.spelling import real_text
from .function import Function


def is_other(ignored: Number | None) -> bool:
    """Whether there is a target that does not count beside -100."""
    return ignored is not None and whole(ignored) != -100


def mask_ignored(
    function: Function, targets: Iterable[Value], ignored: Number | None, names: Mapping[str, str]
) -> list[str]:
    """Makes -100 of what else does not count; returns the sources of the targets in which it did."""
    if ignored is None or not is_other(ignored):
        return []
    sources = list(dict.fromkeys(t.source for t in targets if t.origin != "constant"))
    for source in sources:
        target, text = names[source], real_text(ignored)
        function.lines.append(
            f"{target} = {target}.masked_fill({target} == {text}, -100)  # {written(ignored)} does not count"
        )
    return sources
