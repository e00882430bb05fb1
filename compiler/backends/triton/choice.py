"""Which kernels a layer gets."""

from __future__ import annotations

from dataclasses import replace

from ...layers.attention import Attention
from ...layers.base import Layer
from ...layers.layer_norm import LayerNorm
from ...layers.linear import Linear
from ...layers.rms_norm import RMSNorm
from ...semantics.tensor import Tensor
from .activated import ActivatedLinear
from .activated_features import ActivatedFeatures
from .added_norm import AddedNorm
from .attention_features import attention_features
from .gated import Gated
from .gated_features import gated_features
from .linear import LinearFeatures
from .linears import LinearsFeatures
from .loss_head import LossHead
from .norm_features import norm_features
from .rotary_features import rotary_features
from .variant import NoKernel, Variant

__all__ = ["NoKernel", "variant_for"]


def variant_for(layer: Layer, x: Tensor, part: str = "") -> Variant:
    """Of the layer, or of a part of it. Raises NoKernel where the plain form has to do."""
    match layer:
        case Attention() if part == "rotary":
            return rotary_features(layer, x)
        case Attention() if part == "linears":
            return LinearsFeatures(bias=layer.bias)
        case Attention() if part == "linear":
            return LinearFeatures()
        case Attention():
            return attention_features(layer, x)
        case LayerNorm() | RMSNorm():
            return norm_features(layer, x)
        case AddedNorm():
            dropout = layer.dropout is not None
            plain = norm_features(layer.of, x)
            return replace(plain, add=True, optional=layer.optional, dropout=dropout, narrow=layer.narrow)
        case LossHead():
            return layer.features
        case Linear():
            return LinearFeatures()
        case ActivatedLinear():
            return ActivatedFeatures(layer.name, layer.activation)
        case Gated():
            return gated_features(layer, x)
    raise NoKernel(layer.word)
