"""What each key of a `train` section means and what it takes: for the editor and the language reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .language import KERNELS, PRECISIONS, Vocabulary


@dataclass(frozen=True)
class KeyPage:
    """`folder` is the registry of what it calls, `behind` of what it calls behind an arrow, `words` the bare words that
    it takes, where it takes such."""

    text: str
    example: str
    folder: str | None = None
    behind: str | None = None
    words: Vocabulary | None = None
    flag: bool = False


KEY_PAGES: Mapping[str, KeyPage] = {
    "data": KeyPage(
        "Where examples come from, then augmentations behind arrows. Its fields are bound to the inputs of the model "
        "by name, and are `data.field` in `loss` and `metrics`.",
        "data = digits",
        "data",
        behind="augmentations",
    ),
    "loss": KeyPage(
        "What is made small: a loss, or sums and multiples of them. Names are outputs and inputs of the model, "
        "`data.field` and constants.",
        "loss = cross_entropy(logits, data.label)",
        "losses",
    ),
    "metrics": KeyPage(
        "What is measured beside the loss at every validation, as a list.",
        "metrics = [accuracy(logits, data.label)]",
        "metrics",
    ),
    "optimizer": KeyPage(
        "How weights follow their gradients. `lr` is the peak rate, which `schedule` scales.",
        "optimizer = AdamW(lr = 3e-4)",
        "optimizers",
    ),
    "rates": KeyPage(
        "Factors on the rate for parts of the model, by label, path or quoted pattern; the longest match wins.",
        "rates = [head = 10, stem = 0.1]",
    ),
    "freeze": KeyPage(
        "Parts of the model, by label, path or quoted pattern, that keep their weights and running statistics, and run "
        "as in evaluation. A part inside one learns where it has a rate of its own.",
        "freeze = [wte]",
    ),
    "update": KeyPage(
        "In a phase, the parts of the model that gradients reach; only their running statistics move, too.",
        "update = [critic]",
    ),
    "times": KeyPage("In a phase, how often it runs in a step, one after the other.", "times = 5"),
    "schedule": KeyPage(
        "Factors on the peak rate over time, stage after stage. Each begins where the one before ended; the last has "
        "the rest of the run.",
        "schedule = warmup(5%) -> cosine(to = 10%)",
        "schedules",
        behind="schedules",
    ),
    "steps": KeyPage("How many updates the run has. Either this or `epochs`.", "steps = 10_000"),
    "epochs": KeyPage("How many passes over the data the run has. Either this or `steps`.", "epochs = 10"),
    "batch": KeyPage("How many examples one update sees, over all devices.", "batch = 64"),
    "accumulate": KeyPage(
        "In how many equal parts a batch is computed: less memory, the same update.", "accumulate = 4"
    ),
    "clip": KeyPage("The largest norm that the gradient of all weights together may have.", "clip = 1.0"),
    "clip_value": KeyPage("The largest size that each number of the gradient may have.", "clip_value = 0.5"),
    "precision": KeyPage(
        "The numbers that the forward and backward pass compute with; weights are kept in fp32. With fp16 the loss is "
        "scaled, and an update whose gradient overflows is left out.",
        "precision = bf16",
        words=PRECISIONS,
    ),
    "seed": KeyPage("The seed of initial weights, the order of the data, dropout and augmentation.", "seed = 0"),
    "deterministic": KeyPage(
        "Whether only operations are used that give the same bits in every run.", "deterministic = true", flag=True
    ),
    "ema": KeyPage(
        "A moving average of the weights, which validation, samples, evaluation and export use; buffers are copied. "
        "After n updates it keeps at most (1 + n) / (10 + n), so that it soon forgets the weights it began from.",
        "ema = 0.999",
    ),
    "early_stop": KeyPage(
        "Ends the run after so many validations without a new best, whose checkpoint is kept besides the newest.",
        'early_stop = patience(5, on = "validation.loss")',
    ),
    "validate": KeyPage("How often loss and metrics are measured on the validation data.", "validate = every(500)"),
    "checkpoint": KeyPage(
        "How often a checkpoint is written, and how many are kept.", "checkpoint = every(1_000, keep = 3)"
    ),
    "sample": KeyPage(
        "How often a language model writes on after a prompt, in the log.",
        'sample = every(1_000, prompt = "ROMEO:")',
    ),
    "start": KeyPage(
        "Weights to begin with, in place of drawn ones.", 'start = weights("model.safetensors")', "starts"
    ),
    "init": KeyPage(
        "How initial weights are drawn; PyTorch's way where it is left out.", "init = normal(0.02)", "inits"
    ),
    "parallel": KeyPage(
        "How training is spread over devices; ways are added up.", "parallel = fsdp + tensor(2)", "parallel"
    ),
    "compile": KeyPage("Whether the model is compiled with torch.compile.", "compile = true", flag=True),
    "kernels": KeyPage(
        "Which kernels the model runs on: `triton` gives attention, norms and what else there are some for their own, "
        "in `<spec>_kernels.py`, fixed for what the spec asks for. They run on a GPU; elsewhere their plain form does. "
        "`torch` is PyTorch's own. `auto` is `triton` where a run begins on a GPU, else `torch`.",
        "kernels = triton",
        words=KERNELS,
    ),
}

ONLY_PHASES = frozenset({"update", "times"})
OF_PHASES = ONLY_PHASES | {"loss", "optimizer"}
"""The keys that a `phase` may hold."""
