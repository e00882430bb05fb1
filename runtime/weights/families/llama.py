"""Llama (Touvron et al. 2023; Grattafiori et al. 2024), as specs/llama.dlspec has it."""

from ..family import Family, entries, patterns

FAMILY = Family(
    prefixes=("model.",),
    entries=entries(
        {
            "embed_tokens": "embed",
            "layers.*.input_layernorm": "blocks.*.attn_norm",
            "layers.*.self_attn.q_proj": "blocks.*.attn.q",
            "layers.*.self_attn.k_proj": "blocks.*.attn.k",
            "layers.*.self_attn.v_proj": "blocks.*.attn.v",
            "layers.*.self_attn.o_proj": "blocks.*.attn.o",
            "layers.*.post_attention_layernorm": "blocks.*.mlp_norm",
            "layers.*.mlp.gate_proj": "blocks.*.mlp.gate",
            "layers.*.mlp.up_proj": "blocks.*.mlp.up",
            "layers.*.mlp.down_proj": "blocks.*.mlp.down",
            "norm": "norm",
            "lm_head": "head",
        }
    ),
    skip=patterns("layers.*.self_attn.rotary_emb"),  # a table, which older files hold
)
