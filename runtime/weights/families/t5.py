"""T5 (Raffel et al. 2020), as specs/t5.dlspec has it. The bias of the first layer is that of all."""

from ..family import Family, entries, patterns

FAMILY = Family(
    prefixes=(),
    entries=entries(
        {
            "shared": "tok",
            "lm_head": "head",
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias": "bias",
            "encoder.block.*.layer.0.layer_norm": "encoder.*.attn_norm",
            "encoder.block.*.layer.0.SelfAttention": "encoder.*.attn",
            "encoder.block.*.layer.1.layer_norm": "encoder.*.mlp_norm",
            "encoder.block.*.layer.1.DenseReluDense.wi": "encoder.*.mlp.up",
            "encoder.block.*.layer.1.DenseReluDense.wo": "encoder.*.mlp.down",
            "encoder.final_layer_norm": "encoder_norm",
            "decoder.block.0.layer.0.SelfAttention.relative_attention_bias": "past_bias",
            "decoder.block.*.layer.0.layer_norm": "decoder.*.attn_norm",
            "decoder.block.*.layer.0.SelfAttention": "decoder.*.attn",
            "decoder.block.*.layer.1.layer_norm": "decoder.*.cross_norm",
            "decoder.block.*.layer.1.EncDecAttention": "decoder.*.cross",
            "decoder.block.*.layer.2.layer_norm": "decoder.*.mlp_norm",
            "decoder.block.*.layer.2.DenseReluDense.wi": "decoder.*.mlp.up",
            "decoder.block.*.layer.2.DenseReluDense.wo": "decoder.*.mlp.down",
            "decoder.final_layer_norm": "decoder_norm",
        }
    ),
    # Copies of `shared`, and a bias that nothing reads: the first files hold them.
    skip=patterns(
        "encoder.embed_tokens decoder.embed_tokens decoder.block.*.layer.1.EncDecAttention.relative_attention_bias"
    ),
)
