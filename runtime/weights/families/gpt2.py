"""GPT-2 (Radford et al. 2019), as specs/gpt.dlspec has it. Its matrices lie in the file as [in, out]."""

from ..family import Family, entries, patterns

FAMILY = Family(
    prefixes=("transformer.",),
    entries=(
        *entries(
            {
                "wte": "wte",
                "wpe": "wpe",
                "h.*.ln_1": "blocks.*.attn_norm",
                "h.*.ln_2": "blocks.*.mlp_norm",
                "ln_f": "norm",
                "lm_head": "head",
            }
        ),
        *entries(
            {
                "h.*.attn.c_attn": ("blocks.*.attn.q", "blocks.*.attn.k", "blocks.*.attn.v"),
                "h.*.attn.c_proj": "blocks.*.attn.o",
                "h.*.mlp.c_fc": "blocks.*.mlp.fc",
                "h.*.mlp.c_proj": "blocks.*.mlp.proj",
            },
            "transpose",
        ),
    ),
    skip=patterns("h.*.attn.bias h.*.attn.masked_bias"),  # masks, which older files hold
)
