"""LayerNorm and RMSNorm, alone and with the sum of a residual before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from ..liger import operation
from ..use import Use
from .base import Kind, Rival


class Norm(Kind):
    """x [..., width], and where a residual is added `branch` of the same shape; gives y, or (x + branch, y)."""

    def backward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Reads the gradients of what went out, and what was normed; writes those of what came in, and of the weights.

        What was normed is the sum, where there is one. A gradient goes to both sides of it, and is written once where
        both are of one dtype.
        """
        came = [use.values[name] for name in ("x", "branch") if name in use.values]
        normed = outputs[0] if use.entry.features["add"] else came[0]
        written = {tensor.dtype: tensor.nbytes for tensor in came if tensor.requires_grad}
        weights = 2 * sum(weight.nbytes for weight in use.weights)
        return sum(one.nbytes for one in outputs) + normed.nbytes + sum(written.values()) + weights

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        liger = _by_liger(use)
        if liger is not None:
            yield Rival("Liger-Kernel", liger)


KIND = Norm()


def _by_liger(use: Use) -> Callable[..., Any] | None:
    """The same by Liger-Kernel, where it is installed and has it."""
    features = use.entry.features
    module: Any = use.run
    if features["layer"]:
        apply = operation("layer_norm", "LigerLayerNormFunction")
        if apply is None or features["add"] or not features["bias"]:
            return None
        return lambda x: apply(x, module.weight, module.bias, module.eps)
    offset = module.offset if features["offset"] else 0.0
    # Not in place: the gradients of what went out are used again.
    options = (module.weight, module.eps, offset, "llama", False)
    if not features["add"]:
        apply = operation("rms_norm", "LigerRMSNormFunction")
        return None if apply is None else lambda x: apply(x, *options)
    apply = operation("fused_add_rms_norm", "LigerFusedAddRMSNormFunction")
    return None if apply is None else lambda x, branch: apply(x, branch, *options)[::-1]
