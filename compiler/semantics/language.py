"""The names of the language: what there is, what is reserved, and what other tools call it."""

from __future__ import annotations

from functools import cache

RESERVED = frozenset("dlspec import default block model train export phase as if else true false none".split())

COMBINATORS = frozenset("residual repeat dense share checkpoint experts momentum_copy project".split())

IDENTITY = "identity"
"""The value that runs, unchanged: the one stage that is neither a layer nor a name of the file."""


def is_library(word: str) -> bool:
    """Whether a word is a layer, function or combinator. Loads at most the one file that has it."""
    from ..layers import registry  # layers stand on the numbers and types that are worked out here

    return word in COMBINATORS or word == IDENTITY or registry.find(word) is not None


@cache
def layers() -> frozenset[str]:
    """What makes a module of its own. Reads all layers' files: for messages, not for what is right."""
    from ..layers import registry

    return frozenset(word for word in registry.words() if word[0].isupper())


@cache
def functions() -> frozenset[str]:
    """What is called in small letters, as `layers`."""
    from ..layers import registry

    return frozenset(word for word in registry.words() if word[0].islower()) | {IDENTITY}


def __getattr__(name: str) -> frozenset[str]:
    match name:
        case "LAYERS":
            return layers()
        case "FUNCTIONS":
            return functions()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


TRAIN_KEYS = frozenset(
    """
    data loss metrics optimizer rates freeze schedule steps epochs batch accumulate clip clip_value precision seed
    deterministic ema early_stop validate checkpoint sample start init parallel compile kernels
    """.split()
)

SPELLINGS = {
    "Dense": "Linear",
    "FullyConnected": "Linear",
    "MultiHeadAttention": "SelfAttention",
    "MultiheadAttention": "SelfAttention",
    "Attention": "SelfAttention",
    "BatchNorm1d": "BatchNorm",
    "BatchNorm2d": "BatchNorm",
    "BatchNorm3d": "BatchNorm",
    "BatchNormalization": "BatchNorm",
    "InstanceNorm1d": "InstanceNorm",
    "InstanceNorm2d": "InstanceNorm",
    "InstanceNorm3d": "InstanceNorm",
    "Conv1D": "Conv1d",
    "Conv2D": "Conv2d",
    "Conv3D": "Conv3d",
    "Convolution2D": "Conv2d",
    "Conv1DTranspose": "ConvTranspose1d",
    "Conv2DTranspose": "ConvTranspose2d",
    "Conv3DTranspose": "ConvTranspose3d",
    "MaxPool1d": "max_pool",
    "MaxPool2d": "max_pool",
    "MaxPool3d": "max_pool",
    "MaxPooling2D": "max_pool",
    "max_pool2d": "max_pool",
    "AvgPool1d": "avg_pool",
    "AvgPool2d": "avg_pool",
    "AvgPool3d": "avg_pool",
    "AveragePooling2D": "avg_pool",
    "avg_pool2d": "avg_pool",
    "AdaptiveAvgPool1d": "adaptive_avg_pool",
    "AdaptiveAvgPool2d": "adaptive_avg_pool",
    "AdaptiveAvgPool3d": "adaptive_avg_pool",
    "adaptive_avg_pool2d": "adaptive_avg_pool",
    "GlobalAveragePooling2D": "mean",
    "Upsample": "upsample",
    "UpSampling2D": "upsample",
    "interpolate": "upsample",
    "ZeroPad2d": "pad",
    "ZeroPadding2D": "pad",
    "PatchEmbed": "patchify",
    "StochasticDepth": "DropPath",
    "SqueezeExcitation": "SqueezeExcite",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "GELU": "gelu",
    "SiLU": "silu",
    "ELU": "elu",
    "SELU": "selu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Softplus": "softplus",
    "Mish": "mish",
    "Swish": "swish",
    "Hardswish": "hardswish",
    "Hardsigmoid": "hardsigmoid",
    "Flatten": "flatten",
    "Identity": "identity",
    "dropout": "Dropout",
    "linear": "Linear",
    "embedding": "Embedding",
    "layer_norm": "LayerNorm",
    "rms_norm": "RMSNorm",
    "LayerNormalization": "LayerNorm",
    "PositionalEmbedding": "Positions",
    "PositionalEncoding": "Sinusoid",
    "SinusoidalPositionalEncoding": "Sinusoid",
    "SinusoidalEmbedding": "Sinusoid",
    "TimestepEmbedding": "fourier",
    "CLSToken": "ClassToken",
    "RelativePositionBias": "RelativeBias",
    "T5RelativePositionBias": "RelativeBias",
    "MultiHeadCrossAttention": "CrossAttention",
    "scaled_dot_product_attention": "attend",
    "prelu": "PReLU",
    "Reshape": "reshape",
    "view": "reshape",
    "Permute": "permute",
    "transpose": "permute",
    "swapaxes": "permute",
    "Rearrange": "rearrange",
    "Parameter": "Weight",
    "cat": "concat",
    "concatenate": "concat",
    "Concatenate": "concat",
    "randn": "normal",
    "reparameterize": "sample_normal",
    "reparametrize": "sample_normal",
}
"""What other tools call a layer -> what it is called here."""

OPTION_SPELLINGS = {
    "out_features": "features",
    "out": "features",
    "out_dim": "features",
    "shape": "dims",
    "size": "dims",
    "shifts": "n",
    "i": "index",
    "idx": "index",
    "out_channels": "features",
    "filters": "features",
    "kernel_size": "kernel",
    "strides": "stride",
    "padding": "pad",
    "output_padding": "out_pad",
    "dilation_rate": "dilation",
    "pool_size": "size",
    "output_size": "size",
    "patch_size": "size",
    "ceil_mode": "ceil",
    "scale_factor": "factor",
    "num_groups": "groups",
    "dim": "over",
    "dims": "over",
    "axis": "over",
    "axes": "over",
    "keepdim": "keep",
    "keepdims": "keep",
    "units": "features",
    "output_dim": "features",
    "num_heads": "heads",
    "n_head": "heads",
    "n_heads": "heads",
    "nhead": "heads",
    "num_attention_heads": "heads",
    "num_layers": "layers",
    "n_layer": "layers",
    "n_layers": "layers",
    "num_hidden_layers": "layers",
    "num_kv_heads": "kv_heads",
    "num_key_value_heads": "kv_heads",
    "n_kv_heads": "kv_heads",
    "num_embeddings": "count",
    "vocab_size": "count",
    "embedding_dim": "dim",
    "embed_dim": "dim",
    "hidden_size": "dim",
    "d_model": "dim",
    "n_embd": "dim",
    "is_causal": "causal",
    "attn_dropout": "dropout",
    "attention_dropout": "dropout",
    "rope": "rotary",
    "rope_theta": "rotary",
    "rotary_base": "rotary",
    "logit_softcapping": "softcap",
    "attn_logit_softcapping": "softcap",
    "attn_bias": "score",
    "position_bias": "score",
    "encoder_hidden_states": "memory",
    "encoder_output": "memory",
    "context": "memory",
    "key": "keys",
    "value": "values",
    "hx": "state",
    "seq_lens": "lengths",
    "sequence_length": "lengths",
    "use_bias": "bias",
    "epsilon": "eps",
    "layer_norm_eps": "eps",
    "rate": "p",
    "drop": "p",
    "negative_slope": "slope",
    "learning_rate": "lr",
    "weight_decay": "decay",
    "label_smoothing": "smoothing",
    "ignore_index": "ignore",
    "kernel_initializer": "init",
    "weight_init": "init",
    "tie": "weight = {}.weight",
    "tied": "weight = {}.weight",
    "aux_loss": "balance",
    "load_balancing": "balance",
    "num_experts": "n",
    "top_k": "top",
    "num_experts_per_tok": "top",
    "n": "count",
    "times": "count",
    "depth": "count",
    "norm": "pre",
    "dropout": "drop",
}
"""What other tools call an option -> what it is called here (offered only where that option exists)."""

TRAIN_SPELLINGS = {
    "dataset": "data",
    "criterion": "loss",
    "loss_function": "loss",
    "optim": "optimizer",
    "optimiser": "optimizer",
    "lr_scheduler": "schedule",
    "scheduler": "schedule",
    "max_steps": "steps",
    "max_iters": "steps",
    "num_steps": "steps",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "max_epochs": "epochs",
    "batch_size": "batch",
    "gradient_accumulation_steps": "accumulate",
    "grad_accumulation": "accumulate",
    "grad_clip": "clip",
    "max_grad_norm": "clip",
    "gradient_clip_val": "clip",
    "eval_interval": "validate",
    "eval_every": "validate",
    "save_every": "checkpoint",
    "early_stopping": "early_stop",
    "amp": "precision",
    "dtype": "precision",
    "mixed_precision": "precision",
    "random_seed": "seed",
    "lr_scheduler_type": "schedule",
    "lr_schedule": "schedule",
    "total_steps": "steps",
    "train_steps": "steps",
    "num_train_steps": "steps",
    "n_epochs": "epochs",
    "per_device_train_batch_size": "batch",
    "train_batch_size": "batch",
    "micro_batch": "accumulate",
    "accumulate_grad_batches": "accumulate",
    "clip_grad_norm": "clip",
    "clip_norm": "clip",
    "clip_grad_value": "clip_value",
    "eval_steps": "validate",
    "val_check_interval": "validate",
    "save_steps": "checkpoint",
    "checkpoint_every": "checkpoint",
    "bf16": "precision",
    "fp16": "precision",
    "ema_decay": "ema",
    "frozen": "freeze",
    "pretrained": "start",
    "resume_from": "start",
    "initializer": "init",
    "strategy": "parallel",
    "torch_compile": "compile",
}
