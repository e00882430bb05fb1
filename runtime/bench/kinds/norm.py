"""LayerNorm and RMSNorm, alone and with the sum of a residual before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from ..liger import operation
from ..use import Use
from .base import Kind, Rival, bytes_of


class Norm(Kind):
    """x [..., width], and where a residual is added `branch` of the same shape; gives y, or (x + branch, y).

    Without a branch the sum is x itself.
    """

    def forward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        return bytes_of([*_incoming(use), *use.weights, *_written(use, outputs)])

    def backward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Reads the gradients of what went out, and what was normed; writes those of what came in, and of the weights.

        A gradient goes to both sides of a sum, and is written once where both are of one dtype.
        """
        came, written = _incoming(use), _written(use, outputs)
        normed = written[0] if len(written) == 2 else came[0]
        gradients = {tensor.dtype: tensor for tensor in came if tensor.requires_grad}
        return bytes_of([*outputs, normed, *gradients.values(), *use.weights, *use.weights])

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        liger = _by_liger(use)
        if liger is not None:
            yield Rival("Liger-Kernel", liger)


KIND = Norm()


def _incoming(use: Use) -> list[Tensor]:
    return [use.tensors[name] for name in ("x", "branch") if name in use.tensors]


def _written(use: Use, outputs: Sequence[Tensor]) -> list[Tensor]:
    """What is new of what goes out."""
    return [one for one in outputs if one is not use.values["x"]]


def _by_liger(use: Use) -> Callable[..., Any] | None:
    """The same by Liger-Kernel, where it is installed and has it."""
    features = use.entry.features
    module: Any = use.run
    added = "branch" in use.tensors
    if features["layer"]:
        apply = operation("layer_norm", "LigerLayerNormFunction")
        if apply is None or added or not features["bias"]:
            return None
        return lambda x, branch=None: apply(x, module.weight, module.bias, module.eps)
    offset = module.offset if features["offset"] else 0.0
    # Not in place: the gradients of what went out are used again.
    options = (module.weight, module.eps, offset, "llama", False)
    if not added:
        apply = operation("rms_norm", "LigerRMSNormFunction")
        return None if apply is None else lambda x, branch=None: apply(x, *options)
    apply = operation("fused_add_rms_norm", "LigerFusedAddRMSNormFunction")
    return None if apply is None else lambda x, branch: apply(x, branch, *options)[::-1]
