"""Every name that a `train` or `export` section may hold, and what other tools call it.

Each has its class in the registries; they are loaded one by one, and these tables when a name is looked for in vain.
"""

from __future__ import annotations

from dataclasses import field

from ...grammar.frozen import Frozen


class Vocabulary(Frozen):
    """The names that are legal at one place. `noun` is what messages call one of them, `example` how one is written."""

    noun: str
    words: frozenset[str]
    spellings: dict[str, str] = field(default_factory=dict)
    example: str = ""

    @property
    def one(self) -> str:
        """`a loss`, `an optimizer`."""
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"


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
    "cross_entropy(logits, data.label)",
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
        "r2_score": "r2",
        "R2Score": "r2",
        "accuracy_score": "accuracy",
    },
    "accuracy(logits, data.label)",
)

OPTIMIZERS = Vocabulary(
    "optimizer",
    _words("SGD Adam AdamW RAdam NAdam RMSprop Adagrad Adafactor Lion LAMB LARS Muon ScheduleFreeAdamW"),
    {
        "Momentum": "SGD",
        "Nesterov": "SGD",
        "adam_w": "AdamW",
        "rms_prop": "RMSprop",
        "AdamWScheduleFree": "ScheduleFreeAdamW",
    },
    "AdamW(lr = 3e-4)",
)

SCHEDULES = Vocabulary(
    "schedule",
    _words("warmup stable linear cosine step_decay exponential inverse_sqrt polynomial one_cycle plateau constant"),
    {
        "CosineAnnealingLR": "cosine",
        "cosine_annealing": "cosine",
        "cosine_decay": "cosine",
        "cosine_with_warmup": "cosine",
        "warmup_cosine": "cosine",
        "warmup_cosine_decay_schedule": "cosine",
        "get_cosine_schedule_with_warmup": "cosine",
        "linear_warmup": "warmup",
        "LinearLR": "linear",
        "linear_decay": "linear",
        "linear_with_warmup": "linear",
        "warmup_linear": "linear",
        "get_linear_schedule_with_warmup": "linear",
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
    "warmup(5%) -> cosine(to = 10%)",
)

SOURCES = Vocabulary(
    "source of data",
    _words("text tokens pairs images idx arrays table audio digits iris wine breast_cancer diabetes task"),
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
        "bin": "tokens",
        "synthetic": "task",
    },
    "digits",
)

AUGMENTATIONS = Vocabulary(
    "augmentation",
    _words(
        """
        random_crop random_resized_crop random_flip random_rotation random_affine random_erasing color_jitter normalize
        random_grayscale random_blur resize center_crop mixup cutmix two_views mask_tokens
        """
    ),
    {
        "RandomCrop": "random_crop",
        "RandomHorizontalFlip": "random_flip",
        "horizontal_flip": "random_flip",
        "RandomResizedCrop": "random_resized_crop",
        "RandomRotation": "random_rotation",
        "RandomAffine": "random_affine",
        "RandomErasing": "random_erasing",
        "cutout": "random_erasing",
        "RandomGrayscale": "random_grayscale",
        "GaussianBlur": "random_blur",
        "ColorJitter": "color_jitter",
        "CenterCrop": "center_crop",
        "Resize": "resize",
        "MixUp": "mixup",
        "CutMix": "cutmix",
        "Normalize": "normalize",
        "mlm": "mask_tokens",
    },
    "random_flip",
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
    "normal(0.02)",
)

STARTS = Vocabulary(
    "thing to start from",
    _words("weights hub"),
    {"pretrained": "hub", "checkpoint": "weights", "from_pretrained": "hub", "load": "weights"},
    'weights("model.safetensors")',
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
    "kind of parallelism",
    _words("none ddp fsdp tensor pipeline"),
    {"dp": "ddp", "fsdp2": "fsdp", "tp": "tensor"},
    "fsdp + tensor(2)",
)

KERNELS = Vocabulary("kind of kernels", _words("auto triton torch"), {"pytorch": "torch", "eager": "torch"})

EXPORTS = Vocabulary(
    "export format",
    _words("onnx torchscript pt2 bundle"),
    {
        "jit": "torchscript",
        "script": "torchscript",
        "torch_script": "torchscript",
        "ONNX": "onnx",
        "exported_program": "pt2",
        "triton": "bundle",
    },
    'onnx("model.onnx")',
)


class Option(Frozen):
    """What is no key of `train` but the option `name` of one, and a call in which it stands.

    Where the option is all of the call, `alone` says how, `{}` being its value.
    """

    key: str
    name: str
    call: str
    alone: str = ""

    @property
    def example(self) -> str:
        return f"{self.key} = {self.call}"


def _option(names: str, key: str, name: str, call: str, alone: str = "") -> dict[str, Option]:
    return dict.fromkeys(names.split(), Option(key, name, call, alone))


ELSEWHERE: dict[str, Option] = {
    **_option("lr learning_rate base_lr max_lr", "optimizer", "lr", "AdamW(lr = 3e-4)", "AdamW(lr = {})"),
    **_option("decay weight_decay", "optimizer", "decay", "AdamW(lr = 3e-4, decay = 0.1)"),
    **_option("betas", "optimizer", "betas", "AdamW(lr = 3e-4, betas = [0.9, 0.95])"),
    **_option("beta1 beta2 adam_beta1 adam_beta2", "optimizer", "", "AdamW(lr = 3e-4, betas = [0.9, 0.95])"),
    **_option("momentum", "optimizer", "momentum", "SGD(lr = 0.1, momentum = 0.9)"),
    **_option("nesterov", "optimizer", "nesterov", "SGD(lr = 0.1, momentum = 0.9, nesterov = true)"),
    **_option(
        "warmup warmup_steps warmup_ratio num_warmup_steps warmup_iters",
        "schedule",
        "",
        "warmup(5%) -> cosine(to = 10%)",
        "warmup({}) -> cosine(to = 0)",
    ),
    **_option("lr_decay min_lr eta_min", "schedule", "to", "warmup(5%) -> cosine(to = 10%)"),
    **_option(
        "window block_size sequence_length seq_len max_length max_seq_len n_ctx",
        "data",
        "window",
        'text("*.txt", window = 256)',
    ),
    **_option("tokenizer", "data", "tokenizer", 'text("*.txt", tokenizer = bytes, window = 256)'),
    **_option("split validation_split", "data", "split", "digits(split = [0.8, 0.2])"),
    **_option("smoothing label_smoothing", "loss", "smoothing", "cross_entropy(logits, data.label, smoothing = 0.1)"),
    **_option("patience", "early_stop", "validations", "patience(5)", "patience({})"),
    **_option("keep save_total_limit", "checkpoint", "keep", "every(1_000, keep = 3)"),
    **_option("prompt", "sample", "prompt", 'every(1_000, prompt = "ROMEO:")'),
}
"""What is no key of `train` but an option of one -> how that is written."""

_AUGMENT = "augmentations stand behind the data: `data = digits -> random_crop(8, pad = 1)`"

OUTSIDE = {
    **dict.fromkeys("device accelerator devices gpus".split(), "`dlspec train SPEC --device cuda` says that"),
    **dict.fromkeys("output_dir run_dir log_dir run_name".split(), "`dlspec train SPEC --run DIR` says that"),
    **dict.fromkeys(
        """
        hidden_size d_model n_embd embed_dim num_layers n_layer n_layers depth n_head n_heads num_heads heads
        num_attention_heads num_hidden_layers vocab_size dropout activation
        """.split(),
        "the model says that; a number that both need is a constant of the file, such as `dim = 768` at its top",
    ),
    **dict.fromkeys(
        "num_workers pin_memory prefetch prefetch_factor persistent_workers drop_last".split(),
        "leave it out: how the data is read is not part of a spec",
    ),
    "shuffle": "leave it out: examples come in a new order in every pass",
    **dict.fromkeys("augment augmentation augmentations transform transforms".split(), _AUGMENT),
    **dict.fromkeys(
        "log_every log_interval logging_steps log logger wandb tensorboard report_to verbose".split(),
        "leave it out: every step is a line of `metrics.jsonl` in the run directory",
    ),
    "callbacks": "leave it out: `early_stop`, `checkpoint`, `validate` and `sample` are keys of their own",
    **dict.fromkeys(["update", "times"], "that belongs into a phase: `phase name { update = [critic] ... }`"),
}
"""What is no key of `train` and said elsewhere -> where."""

PHASE_KEYS = ("update", "loss", "optimizer", "times")
"""The keys of a `phase`."""
