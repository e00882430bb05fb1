"""Every name that a `train` or `export` section may hold, and what other tools call it.

The registries say what this version has; a name that stands here and in no registry is reported as not yet there.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Vocabulary:
    """The names that are legal at one place. `noun` is what messages call one of them."""

    noun: str
    words: frozenset[str]
    spellings: dict[str, str] = field(default_factory=dict)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LOSSES = Vocabulary(
    "loss",
    _words(
        """
        cross_entropy binary_cross_entropy binary_cross_entropy_with_logits mse mae huber focal contrastive triplet
        nt_xent info_nce kl_normal ctc hinge cosine l1
        """
    ),
    {
        "CrossEntropyLoss": "cross_entropy",
        "CrossEntropy": "cross_entropy",
        "softmax_cross_entropy": "cross_entropy",
        "categorical_crossentropy": "cross_entropy",
        "sparse_categorical_crossentropy": "cross_entropy",
        "ce": "cross_entropy",
        "nll": "cross_entropy",
        "nll_loss": "cross_entropy",
        "NLLLoss": "cross_entropy",
        "MSELoss": "mse",
        "mse_loss": "mse",
        "mean_squared_error": "mse",
        "l2": "mse",
        "L1Loss": "mae",
        "l1_loss": "mae",
        "mean_absolute_error": "mae",
        "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
        "bce_with_logits": "binary_cross_entropy_with_logits",
        "bce": "binary_cross_entropy_with_logits",
        "BCELoss": "binary_cross_entropy",
        "binary_crossentropy": "binary_cross_entropy",
        "HuberLoss": "huber",
        "smooth_l1": "huber",
        "smooth_l1_loss": "huber",
        "CTCLoss": "ctc",
    },
)

METRICS = Vocabulary(
    "metric",
    _words("accuracy perplexity f1 auroc bleu mse mae r2"),
    {
        "acc": "accuracy",
        "Accuracy": "accuracy",
        "top_k": "accuracy",
        "topk": "accuracy",
        "top5": "accuracy",
        "ppl": "perplexity",
        "mean_squared_error": "mse",
        "mean_absolute_error": "mae",
        "roc_auc": "auroc",
        "auc": "auroc",
        "f1_score": "f1",
    },
)

OPTIMIZERS = Vocabulary(
    "optimizer",
    _words("SGD Adam AdamW RAdam NAdam RMSprop Adagrad Adafactor Lion LAMB LARS Muon ScheduleFreeAdamW"),
    {"Momentum": "SGD", "Nesterov": "SGD", "adam_w": "AdamW", "rms_prop": "RMSprop"},
)

SCHEDULES = Vocabulary(
    "stage of a schedule",
    _words("warmup stable linear cosine step_decay exponential inverse_sqrt polynomial one_cycle plateau constant"),
    {
        "CosineAnnealingLR": "cosine",
        "cosine_annealing": "cosine",
        "cosine_decay": "cosine",
        "linear_warmup": "warmup",
        "LinearLR": "linear",
        "linear_decay": "linear",
        "hold": "stable",
        "StepLR": "step_decay",
        "MultiStepLR": "step_decay",
        "step": "step_decay",
        "ExponentialLR": "exponential",
        "OneCycleLR": "one_cycle",
        "ReduceLROnPlateau": "plateau",
        "ConstantLR": "constant",
        "noam": "inverse_sqrt",
        "rsqrt": "inverse_sqrt",
        "poly": "polynomial",
    },
)

SOURCES = Vocabulary(
    "source of data",
    _words("text tokens pairs images idx arrays table audio digits task"),
    {
        "txt": "text",
        "TextFile": "text",
        "npz": "arrays",
        "numpy": "arrays",
        "csv": "table",
        "parquet": "table",
        "jsonl": "table",
        "ImageFolder": "images",
        "image_folder": "images",
        "mnist": "idx",
        "bin": "tokens",
        "synthetic": "task",
    },
)

AUGMENTATIONS = Vocabulary(
    "augmentation",
    _words(
        """
        random_crop random_resized_crop random_flip random_rotation random_affine random_erasing color_jitter normalize
        resize center_crop mixup cutmix two_views mask_tokens
        """
    ),
    {
        "RandomCrop": "random_crop",
        "RandomHorizontalFlip": "random_flip",
        "RandomResizedCrop": "random_resized_crop",
        "Normalize": "normalize",
    },
)

TOKENIZERS = Vocabulary(
    "tokenizer",
    _words("bytes characters bpe"),
    {
        "byte": "bytes",
        "byte_level": "bytes",
        "char": "characters",
        "chars": "characters",
        "character": "characters",
        "BPE": "bpe",
        "subword": "bpe",
    },
)

INITIALISATIONS = Vocabulary(
    "way to draw initial weights",
    _words("normal xavier he orthogonal"),
    {
        "gaussian": "normal",
        "normal_": "normal",
        "xavier_uniform": "xavier",
        "glorot": "xavier",
        "glorot_uniform": "xavier",
        "kaiming": "he",
        "kaiming_normal": "he",
        "kaiming_uniform": "he",
    },
)

PRECISIONS = Vocabulary(
    "precision",
    _words("fp32 tf32 bf16 fp16"),
    {
        "float32": "fp32",
        "full": "fp32",
        "bfloat16": "bf16",
        "mixed": "bf16",
        "amp": "bf16",
        "float16": "fp16",
        "half": "fp16",
    },
)

PARALLEL = Vocabulary(
    "way to train in parallel", _words("none ddp fsdp tensor pipeline"), {"dp": "ddp", "fsdp2": "fsdp", "tp": "tensor"}
)

KERNELS = Vocabulary("kind of kernels", _words("auto triton torch"), {"pytorch": "torch", "eager": "torch"})

EXPORTS = Vocabulary(
    "format to export to",
    _words("onnx torchscript pt2 bundle"),
    {
        "jit": "torchscript",
        "script": "torchscript",
        "torch_script": "torchscript",
        "ONNX": "onnx",
        "exported_program": "pt2",
        "triton": "bundle",
    },
)

ELSEWHERE = {
    **dict.fromkeys(["lr", "learning_rate"], "optimizer = AdamW(lr = 3e-4)"),
    **dict.fromkeys(["decay", "weight_decay"], "optimizer = AdamW(lr = 3e-4, decay = 0.1)"),
    **dict.fromkeys(["betas", "beta1", "beta2"], "optimizer = AdamW(lr = 3e-4, betas = [0.9, 0.95])"),
    **dict.fromkeys(["momentum", "nesterov"], "optimizer = SGD(lr = 0.1, momentum = 0.9)"),
    **dict.fromkeys(["warmup", "warmup_steps", "warmup_ratio"], "schedule = warmup(5%) -> cosine(to = 10%)"),
    **dict.fromkeys(["lr_decay", "min_lr"], "schedule = warmup(5%) -> cosine(to = 10%)"),
    **dict.fromkeys(["window", "block_size", "sequence_length", "tokenizer"], 'data = text("*.txt", window = 256)'),
    **dict.fromkeys(["split", "validation_split"], "data = digits(split = [0.8, 0.2])"),
    **dict.fromkeys(["smoothing", "label_smoothing"], "loss = cross_entropy(logits, data.label, smoothing = 0.1)"),
    **dict.fromkeys(["patience"], "early_stop = patience(5)"),
    **dict.fromkeys(["device", "accelerator"], "dlspec train SPEC --device cuda"),
    **dict.fromkeys(["keep"], "checkpoint = every(1_000, keep = 3)"),
}
"""What is no key of `train` but an option of one -> how that is written."""

TRAIN_LATER = frozenset({"ema", "freeze", "rates", "start"})
"""Keys of `train` that this version understands and cannot do."""
