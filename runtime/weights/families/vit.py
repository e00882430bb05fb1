"""ViT (Dosovitskiy et al. 2021), as specs/vit.dlspec has it. The kernels of the patches are a matrix there."""

from ..family import Family, entries, patterns

FAMILY = Family(
    prefixes=("vit.",),
    entries=(
        *entries(
            {
                "embeddings.cls_token": "cls.weight",
                "embeddings.position_embeddings": "pos.weight",
                "embeddings.patch_embeddings.projection": "embed",
            },
            "reshape",
        ),
        *entries(
            {
                "encoder.layer.*.layernorm_before": "blocks.*.attn_norm",
                "encoder.layer.*.attention.attention.query": "blocks.*.attn.q",
                "encoder.layer.*.attention.attention.key": "blocks.*.attn.k",
                "encoder.layer.*.attention.attention.value": "blocks.*.attn.v",
                "encoder.layer.*.attention.output.dense": "blocks.*.attn.o",
                "encoder.layer.*.layernorm_after": "blocks.*.mlp_norm",
                "encoder.layer.*.intermediate.dense": "blocks.*.mlp.fc",
                "encoder.layer.*.output.dense": "blocks.*.mlp.proj",
                "layernorm": "norm",
                "classifier": "head",
            }
        ),
    ),
    skip=patterns("pooler"),
)
