"""What LayerNorm and RMSNorm share: both act on a last axis of known width and have an `eps`."""

from __future__ import annotations

from ..semantics.number import Number, real
from ..semantics.tensor import Tensor
from .base import Code, ShapeFault


def check_width(word: str, x: Tensor) -> None:
    """Raises ShapeFault where the last axis of `x` cannot be normalised with a gain for each entry."""
    if x.dtype != "float":
        raise ShapeFault(f"{word} takes float, and {x} comes in", "an Embedding makes vectors of whole numbers")
    if x.rank < 2 or x.dims[-1].value is None:
        raise ShapeFault(
            f"{word} needs a last axis of known width, and {x} comes in",
            "it has a gain for each entry of that axis, so the width is fixed when the model is built",
        )


def with_eps(eps: Number, usual: float, code: Code) -> str:
    """`, eps=...` where it is not PyTorch's own."""
    return "" if real(eps) == usual else f", eps={code.real(eps)}"
