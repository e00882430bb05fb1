"""Gated activations: read both sides and write their product; backward reads them once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..liger import operation
from ..use import Use
from .base import Kind, Rival

_OF_LIGER = {"silu": ("swiglu", "LigerSiLUMulFunction"), "gelu_tanh": ("geglu", "LigerGELUMulFunction")}
"""By the name of the activation."""


class GatedActivation(Kind):
    """gate and up, of one shape; or `both`, whose last axis has the one beside the other."""

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        features = use.entry.features
        apply = operation(*_OF_LIGER[features["name"]]) if features["name"] in _OF_LIGER else None
        if apply is None:
            return

        def run(**sides: Any) -> Any:
            if "both" not in sides:
                return apply(sides["gate"], sides["up"])
            halves = sides["both"].chunk(2, -1)
            return apply(*(halves if features["gate_first"] else halves[::-1]))

        yield Rival("Liger-Kernel", run)


KIND = GatedActivation()
