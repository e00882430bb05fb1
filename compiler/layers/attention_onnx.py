"""The ONNX nodes of an attention: the standard operator, with all that it cannot say in one mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import Number, product, real, whole
from ..semantics.tensor import Tensor
from .attention_mask_onnx import Mask
from .attention_steps_onnx import Steps
from .score import ScoreFunction

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue
    from .attention import Attention


def attention(
    layer: Attention,
    g: OnnxBuilder,
    values: tuple[OnnxValue, OnnxValue, OnnxValue],
    x: Tensor,
    value_width: Number,
    name: str,
    module: str,
) -> OnnxValue:
    """Queries, keys and values, [B, length, heads * width] each, to [B, T, heads * value_width]."""
    heads, key_heads, width = layer.heads, layer.key_heads(), layer.width_of_head(x)
    q, k, v = values
    q_type = Tensor("float", (*x.dims[:2], product([heads, width])))
    k_type = Tensor("float", (*layer.keys_from(x).dims[:2], product([key_heads, width])))
    if layer.qk_norm is not None:
        q = _normed(layer, g, q, q_type, heads, width, f"{name}.q_norm", f"{module}.q_norm")
        k = _normed(layer, g, k, k_type, key_heads, width, f"{name}.k_norm", f"{module}.k_norm")
    if layer.rotary is not None:
        tables = g.rotary_tables(layer.longest(x), whole(width) // 2, real(layer.rotary))
        turn = (*tables, g.positions(q, q_type))
        q = g.op("RotaryEmbedding", [q, *turn], q_type, f"{name}.q.rotary", num_heads=whole(heads))
        turn = (*tables, g.positions(k, k_type))
        k = g.op("RotaryEmbedding", [k, *turn], k_type, f"{name}.k.rotary", num_heads=whole(key_heads))
    if isinstance(layer.score, ScoreFunction):
        return Steps(layer, g, (q, q_type), (k, k_type), v, value_width, name, module).written(layer.score)
    plain = layer.plainly_causal(x)
    options: dict[str, float | int] = {
        "q_num_heads": whole(heads),
        "kv_num_heads": whole(key_heads),
        "is_causal": int(plain),
    }
    if layer.scale is not None:
        options["scale"] = real(layer.scale)
    if layer.softcap is not None:
        options["softcap"] = real(layer.softcap)
    mask = [] if plain else Mask(layer, g, (q, q_type), (k, k_type), name).written()
    y_type = q_type.with_last(product([heads, value_width]))
    return g.op("Attention", [q, k, v, *mask], y_type, f"{name}.attention", **options)


def _normed(
    layer: Attention,
    g: OnnxBuilder,
    x: OnnxValue,
    x_type: Tensor,
    heads: Number,
    width: Number,
    name: str,
    module: str,
) -> OnnxValue:
    """`qk_norm` on each head of x, [B, length, heads * width]."""
    assert layer.qk_norm is not None
    split_type = Tensor("float", (*x_type.dims[:2], heads, width))
    split = g.op("Reshape", [x, g.wholes((0, 0, whole(heads), whole(width)))], split_type, f"{name}.split")
    (normed,) = layer.qk_norm.onnx(g, split, split_type, name, module)
    return g.op("Reshape", [normed, g.wholes((0, 0, whole(heads) * whole(width)))], x_type, f"{name}.joined")
