"""BERT (Devlin et al. 2019), as specs/bert.dlspec has it. Older files call the weights of norms gamma and beta."""

from ..family import Family, entries, patterns

FAMILY = Family(
    prefixes=("bert.",),
    entries=entries(
        {
            "embeddings.word_embeddings": "tok",
            "embeddings.position_embeddings": "pos",
            "embeddings.token_type_embeddings": "segment",
            "embeddings.LayerNorm": "norm",
            "embeddings.LayerNorm.gamma": "norm.weight",
            "embeddings.LayerNorm.beta": "norm.bias",
            "encoder.layer.*.attention.self.query": "blocks.*.attn.q",
            "encoder.layer.*.attention.self.key": "blocks.*.attn.k",
            "encoder.layer.*.attention.self.value": "blocks.*.attn.v",
            "encoder.layer.*.attention.output.dense": "blocks.*.attn.o",
            "encoder.layer.*.attention.output.LayerNorm": "blocks.*.attn_norm",
            "encoder.layer.*.attention.output.LayerNorm.gamma": "blocks.*.attn_norm.weight",
            "encoder.layer.*.attention.output.LayerNorm.beta": "blocks.*.attn_norm.bias",
            "encoder.layer.*.intermediate.dense": "blocks.*.mlp.up",
            "encoder.layer.*.output.dense": "blocks.*.mlp.down",
            "encoder.layer.*.output.LayerNorm": "blocks.*.mlp_norm",
            "encoder.layer.*.output.LayerNorm.gamma": "blocks.*.mlp_norm.weight",
            "encoder.layer.*.output.LayerNorm.beta": "blocks.*.mlp_norm.bias",
            "pooler.dense": "pooler",
        }
    ),
    skip=patterns("cls embeddings.position_ids"),
)
