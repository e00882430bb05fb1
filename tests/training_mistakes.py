"""Mistakes in a `train` section, what is said of each, and what is right beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training_cases import PICTURES, TABLE, TEXT

Changes = dict[str, str | None]


@dataclass(frozen=True)
class Mistake:
    """`changes` to the lines of a case (None takes a line out) make one finding of `code` at `caret`, which says all
    of `says`. `right` are changes, near the wrong ones, with which nothing is found."""

    code: str
    caret: str
    says: tuple[str, ...]
    changes: Changes
    case: str
    model: str | None
    more: str
    severity: str
    right: Changes | None
    right_model: str | None

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.changes)}".strip()


def wrong(
    code: str,
    caret: str,
    *says: str,
    case: str = "pictures",
    model: str | None = None,
    more: str = "",
    severity: Literal["error", "warning"] = "error",
    right: str | Changes | None = None,
    right_model: str | None = None,
    **changes: str | None,
) -> Mistake:
    """`right` as a text stands for the value of the first change."""
    if isinstance(right, str):
        right = {next(iter(changes)): right}
    return Mistake(code, caret, says, changes, case, model, more, severity, right, right_model)


SOFTMAX = PICTURES.replace("Linear(classes)", "Linear(classes) -> softmax")
LOG_SOFTMAX = PICTURES.replace("Linear(classes)", "Linear(classes) -> log_softmax")
WIDE = PICTURES.replace("classes = 10", "classes = 12")
NARROW = PICTURES.replace("classes = 10", "classes = 9")
SMALL_VOCAB = TEXT.replace("vocab = 256", "vocab = 128")
LARGE_VOCAB = TEXT.replace("vocab = 256", "vocab = 320")
OTHER_INPUT = PICTURES.replace("image:", "picture:")
OTHER_SHAPE = PICTURES.replace("[B, 1, 8, 8]", "[B, 3, 8, 8]")
OTHER_TYPE = TEXT.replace("int[B, T <= context]", "[B, T <= context, 4]").replace("Embedding(vocab, 16)", "Linear(16)")
SIGMOID = TABLE.replace("Linear(1)", "Linear(1) -> sigmoid")
TWO_INPUTS = TEXT.replace(
    "(tokens: int[B, T <= context])", "(tokens: int[B, T <= context], targets: int[B, T])"
).replace(
    "  Embedding(vocab, 16) ->",
    "  tokens -> Embedding(vocab, 16) as a\n  targets -> Embedding(vocab, 16) as b\n  a + b ->",
)
STRIPES = PICTURES.replace("[B, 1, 8, 8]", "[B, 1, 3 * H, 8]").replace("flatten -> Linear(classes)", "Linear(classes)")

MISTAKES = [
    wrong("unknown-key", "lerning_rate", "an option: `optimizer = AdamW(lr", lerning_rate="3e-3"),
    wrong("unknown-key", "batch_size", "write `batch`", batch=None, batch_size="8", right="8"),
    wrong("unknown-key", "num_epochs", "write `epochs`", epochs=None, num_epochs="3"),
    wrong("unknown-key", "scheduler", "write `schedule`", scheduler="constant", right={"schedule": "constant"}),
    wrong("unknown-key", "momentum", "SGD(lr = 0.1, momentum = 0.9)", momentum="0.9"),
    wrong("unknown-key", "bananas", "one of `accumulate`, `checkpoint`, `clip`", bananas="3"),
    wrong("unknown-key", "device", "dlspec train SPEC --device cuda", device='"cuda"'),
    wrong("repeated-key", "batch", "`batch` is given twice", more="  batch = 32\n"),
    wrong("missing-key", "MLP", "needs `loss`", "loss = cross_entropy", loss=None),
    wrong("missing-key", "MLP", "needs `loss` and `batch`", loss=None, batch=None),
    wrong("missing-key", "MLP", "`steps` or `epochs`", epochs=None, right={"epochs": None, "steps": "10"}),
    wrong("conflict", "steps = 10", "steps or its epochs", steps="10", right={"epochs": None, "steps": "10"}),
    wrong("conflict", "clip_value = 1", "not both", clip="1", clip_value="1", right="1"),
    wrong("misplaced-line", "flatten", "`key = value`", more="  flatten\n"),
    wrong("wrong-value", "0", "`batch` takes a whole number of at least 1", batch="0", right="1"),
    wrong("wrong-value", "2.5", "whole number", batch="2.5"),
    wrong("wrong-value", '"64"', "whole number", 'this is "64"', batch='"64"'),
    wrong("wrong-value", "0", "`epochs` takes a number above 0", epochs="0", right="0.5"),
    wrong("wrong-value", "1.5", "`steps` takes a whole number", epochs=None, steps="1.5"),
    wrong("wrong-value", "0", "`clip` takes a number above 0", clip="0", right="0.5"),
    wrong("wrong-value", "0 - 1", "`seed` takes a whole number of at least 0", seed="0 - 1", right="7"),
    wrong("wrong-value", "1", "true or false", deterministic="1", right="false"),
    wrong("wrong-value", "3", "true or false", compile="3", right="false"),
    wrong("unknown-name", "btach", batch="btach"),
    wrong("unknown-name", "bfloat16", "write `bf16`", precision="bfloat16", right="bf16"),
    wrong("wrong-value", "16", "`precision` takes one of", precision="16", right='"tf32"'),
    wrong("unknown-name", "cuda", "kind of kernels", kernels="cuda", right="torch"),
    wrong("unknown-name", "fspd", "write `fsdp`", parallel="fspd + tensor(2)", right="none"),
    wrong("wrong-value", "2", "fsdp + tensor(2)", parallel="2"),
    wrong("uneven-batch", "6", "64", "60 or 66", accumulate="6", right="4"),
    wrong("unknown-name", "digit", "write `digits`", data="digit"),
    wrong("wrong-value", "3", "`data` takes a source of data", data="3"),
    wrong("unknown-option", "window", "`digits` has no option", data="digits(window = 3)"),
    wrong("wrong-value", "[0.5, 0.6]", "come to 1 at most", data="digits(split = [0.5, 0.6])"),
    wrong("wrong-value", "0.8", "two parts", data="digits(split = 0.8)", right="digits(split = [0.7, 0.2])"),
    wrong("missing-option", 'text("a.txt")', "`text` needs `window`", data='text("a.txt")', case="text"),
    wrong("wrong-value", "bpe", "write `bpe(8_000)`", data='text("a.txt", tokenizer = bpe, window = 8)', case="text"),
    wrong(
        "wrong-value",
        "100",
        "at least 256",
        data='text("a.txt", tokenizer = bpe(100), window = 8)',
        case="text",
        right='text("a.txt", tokenizer = bpe(256), window = 8)',
    ),
    wrong(
        "wrong-value",
        "chars",
        "write `characters`",
        data='text("a.txt", tokenizer = chars, window = 8)',
        case="text",
        right='text("a.txt", tokenizer = characters, window = 8)',
    ),
    wrong("wrong-value", "3", "a path or a list of paths", data="text(3, window = 8)", case="text"),
    wrong(
        "conflict",
        "[0.9, 0.1]",
        "not from both",
        data='tokens("a.bin", window = 8, validation = "b.bin", split = [0.9, 0.1])',
        case="text",
        right='tokens("a.bin", window = 8, validation = "b.bin")',
    ),
    wrong("wrong-value", "2", "at least 3", data="task(copy, length = 4, vocab = 2)", case="text"),
    wrong("wrong-value", "3", "an even number", data="task(addition, length = 3, vocab = 256)", case="text"),
    wrong(
        "wrong-value",
        "task(addition, length = 2, vocab = 10)",
        "81 at most",
        data="task(addition, length = 2, vocab = 10)",
        case="text",
    ),
    wrong("unknown-name", "revers", "`reverse`", data="task(revers, length = 4, vocab = 256)", case="text"),
    wrong("unknown-name", "random_flop", "write `random_flip`", data="digits -> random_flop"),
    wrong(
        "unbound-input",
        "digits",
        "`picture` of MLP",
        "`image`, `label`",
        "call the input",
        model=OTHER_INPUT,
        right_model=PICTURES,
    ),
    wrong("shape-mismatch", "digits", "[B, 3, 8, 8]", "[B, 1, 8, 8]", model=OTHER_SHAPE),
    wrong(
        "shape-mismatch",
        "digits",
        "[B, 1, 3 * H, 8]",
        "no H makes 3 * H equal to 8",
        loss="mse(logits, logits)",
        model=STRIPES,
    ),
    wrong(
        "shape-mismatch",
        'text("*.txt", tokenizer = bytes, window = context)',
        "int[B, context]",
        case="text",
        model=OTHER_TYPE,
    ),
    wrong(
        "shape-mismatch",
        "65",
        "`T` is at most context (64)",
        data='text("*.txt", window = 65)',
        case="text",
        right='text("*.txt", window = 64)',
    ),
    wrong(
        "shape-mismatch",
        "33",
        "2 * 33 (66) here",
        data="task(copy, length = 33, vocab = vocab)",
        case="text",
        right="task(copy, length = 32, vocab = vocab)",
    ),
    wrong("unknown-name", "crossentropy", "write `cross_entropy`", loss="crossentropy(logits, data.label)"),
    wrong("unknown-name", "MSELoss", "write `mse`", loss="MSELoss(logits, data.label)"),
    wrong("wrong-value", "3", "`loss` takes a loss", loss="3"),
    wrong("missing-input", "cross_entropy(logits)", "takes two inputs first", loss="cross_entropy(logits)"),
    wrong("missing-input", "cross_entropy", "write `cross_entropy(logits, data.label)`", loss="cross_entropy"),
    wrong("unknown-name", "logit", "write `logits`", loss="cross_entropy(logit, data.label)"),
    wrong("unknown-name", "label", "write `data.label`", loss="cross_entropy(logits, label)"),
    wrong("unknown-field", "data.labels", "write `data.label`", loss="cross_entropy(logits, data.labels)"),
    wrong("unknown-field", "data.x", "`data.image`, `data.label`", loss="cross_entropy(logits, data.x)"),
    wrong("unknown-name", "net.logits", "no value", loss="cross_entropy(net.logits, data.label)"),
    wrong("swapped-inputs", "data.label, logits", "first", loss="cross_entropy(data.label, logits)"),
    wrong("nothing-to-train", "mse(image, data.image)", "its output is `logits`", loss="mse(image, data.image)"),
    wrong(
        "unknown-option",
        "label_smoothing",
        "write `smoothing`",
        loss="cross_entropy(logits, data.label, label_smoothing = 0.1)",
        right="cross_entropy(logits, data.label, smoothing = 0.1)",
    ),
    wrong("wrong-value", "2", "from 0 to 1", loss="cross_entropy(logits, data.label, smoothing = 2)"),
    wrong(
        "wrong-value",
        "0",
        "other than 0",
        loss="0 * cross_entropy(logits, data.label)",
        right="0.5 * cross_entropy(logits, data.label)",
    ),
    wrong(
        "wrong-value", "10", "counted from 0 to 9", loss="cross_entropy(logits, 10)", right="cross_entropy(logits, 9)"
    ),
    wrong("wrong-value", '"label"', "outputs, inputs, fields", loss='cross_entropy(logits, "label")'),
    wrong("shape-mismatch", "data.image", "[B, classes]", "[B, 1, 8, 8]", loss="cross_entropy(logits, data.image)"),
    wrong("shape-mismatch", "data.image", "[B, classes]", "[B, 1, 8, 8]", loss="mse(logits, data.image)"),
    wrong("shape-mismatch", "data.label", "[B, classes]", "int[B]", loss="mse(logits, data.label)"),
    wrong(
        "shape-mismatch",
        "tokens",
        "[B, T, vocab]",
        loss="cross_entropy(logits, tokens) + mse(logits, tokens)",
        case="text",
        right="cross_entropy(logits, tokens)",
    ),
    wrong(
        "conflict",
        "logits",
        "ignore the same targets",
        loss="cross_entropy(logits, data.label, ignore = 3) + cross_entropy(logits, data.label)",
    ),
    wrong("softmax-head", "logits", "a softmax of its own", "ends in `softmax`", model=SOFTMAX, right_model=PICTURES),
    wrong("softmax-head", "logits", "`log_softmax`", model=LOG_SOFTMAX, severity="warning"),
    wrong(
        "softmax-head",
        "output",
        "a sigmoid of its own",
        loss="binary_cross_entropy_with_logits(output, data.y)",
        case="table",
        model=SIGMOID,
        right="binary_cross_entropy_with_logits(output, data.y)",
        right_model=TABLE,
    ),
    wrong("head-width", "logits", "classes (12) wide", "10 classes", model=WIDE, right_model=PICTURES),
    wrong("head-width", "logits", "classes (9) wide", "write `classes = 10`", model=NARROW),
    wrong("head-width", "logits", "vocab (128) wide", "256 tokens", case="text", model=SMALL_VOCAB),
    wrong(
        "head-width",
        "logits",
        "64 entries of it will never be asked for",
        case="text",
        model=LARGE_VOCAB,
        severity="warning",
    ),
    wrong("head-width", "logits", "300 classes", data="task(copy, length = 4, vocab = 300)", case="text"),
    wrong("unknown-name", "acuracy", "write `accuracy`", metrics="[acuracy(logits, data.label)]"),
    wrong(
        "missing-input",
        "accuracy",
        "write `accuracy(logits, data.label)`",
        metrics="[accuracy]",
        right="accuracy(logits, data.label)",
    ),
    wrong(
        "repeated-metric",
        "accuracy(logits, data.label)",
        metrics="[accuracy(logits, data.label), accuracy(logits, data.label)]",
        right="[accuracy(logits, data.label), accuracy(logits, data.label, top = 2)]",
    ),
    wrong(
        "repeated-metric",
        "f1(logits, data.label, average = macro)",
        metrics="[f1(logits, data.label), f1(logits, data.label, average = macro)]",
        right="[f1(logits, data.label, average = weighted), f1(logits, data.label, average = micro)]",
    ),
    wrong(
        "repeated-metric",
        "f1(output, data.y, above = 0.5)",
        case="table",
        metrics="[f1(output, data.y, above = 50%), f1(output, data.y, above = 0.5)]",
        right="[f1(output, data.y, above = 0.4), f1(output, data.y, above = 0.5)]",
    ),
    wrong("wrong-value", "logits", "`top` is 11", metrics="[accuracy(logits, data.label, top = 11)]"),
    wrong(
        "wrong-value",
        "logits",
        "`above` of one score",
        metrics="[accuracy(logits, data.label, top = 2, above = 0)]",
        right="[accuracy(logits, data.label, top = 2)]",
    ),
    wrong(
        "shape-mismatch",
        "output",
        "`accuracy(output, data.y, above = 0)`, or 0.5",
        case="table",
        metrics="[accuracy(output, data.y)]",
        right="[accuracy(output, data.y, above = 0)]",
    ),
    wrong(
        "shape-mismatch",
        "output",
        "`f1(output, data.y, above = 0)`, or 0.5",
        case="table",
        metrics="[f1(output, data.y)]",
        right="[f1(output, data.y, above = 0)]",
    ),
    wrong(
        "wrong-value",
        "output",
        "`average` is over several classes",
        case="table",
        metrics="[f1(output, data.y, average = micro, above = 0)]",
        right="[f1(output, data.y, above = 0)]",
    ),
    wrong(
        "wrong-value",
        "a = accuracy(logits, data.label)",
        "takes a list of metrics",
        metrics="[a = accuracy(logits, data.label)]",
    ),
    wrong(
        "softmax-head",
        "logits",
        "perplexity",
        loss="mse(logits, logits)",
        metrics="[perplexity(logits, data.label)]",
        model=SOFTMAX,
        right={"metrics": "[perplexity(logits, data.label)]"},
        right_model=PICTURES,
    ),
    wrong("unknown-name", "adamw", "write `AdamW`", optimizer="adamw(lr = 1e-3)"),
    wrong("missing-option", "AdamW", "`AdamW` needs `lr`", optimizer="AdamW", right="AdamW(peak)"),
    wrong("unknown-option", "weight_decay", "write `decay`", optimizer="AdamW(lr = 1e-3, weight_decay = 0.1)"),
    wrong("unknown-option", "learning_rate", "write `lr`", optimizer="AdamW(learning_rate = 1e-3)"),
    wrong("wrong-value", "0", "above 0", optimizer="AdamW(lr = 0)"),
    wrong("wrong-value", "[0.9, 1]", "below 1", optimizer="AdamW(lr = 1e-3, betas = [0.9, 1])"),
    wrong("wrong-value", "0.9", "two numbers", optimizer="AdamW(lr = 1e-3, betas = 0.9)"),
    wrong(
        "unknown-name",
        "biases",
        "`all`, `matrices`",
        optimizer="AdamW(lr = 1e-3, decay_on = biases)",
        right="AdamW(lr = 1e-3, decay_on = all)",
    ),
    wrong("wrong-value", "1", "below 1", optimizer="SGD(lr = 1e-3, momentum = 1)"),
    wrong(
        "conflict",
        "true",
        "momentum",
        optimizer="SGD(lr = 1, nesterov = true)",
        right="SGD(lr = 1, momentum = 0.9, nesterov = true)",
    ),
    wrong("repeated-option", "lr = 0.2", "given twice", optimizer="SGD(0.1, lr = 0.2)"),
    wrong("unknown-name", "warm_up", "write `warmup`", schedule="warm_up(5%)"),
    wrong("missing-option", "warmup", "`warmup` needs `length`", schedule="warmup"),
    wrong("wrong-value", "0.05", "write `5%`", schedule="warmup(0.05)", right="warmup(5%)"),
    wrong("wrong-value", "120%", "up to 100%", schedule="warmup(120%)", right="warmup(100%)"),
    wrong("wrong-value", "0", "at least one step", schedule="warmup(0)"),
    wrong("wrong-value", "3 * epoch + 5", "do not mix", schedule="warmup(3 * epoch + 5)", right="warmup(3 * epoch)"),
    wrong("wrong-value", "2", "from 0 to 100%", schedule="linear(to = 2)", right="linear(to = 50%)"),
    wrong("missing-option", "10%", "where it goes", schedule="cosine(10%)", right="cosine(10%, to = 0)"),
    wrong(
        "misplaced-stage",
        "stable(10%)",
        "takes the rest of the run",
        schedule="cosine(to = 0) -> stable(10%)",
        right="cosine(90%, to = 0) -> stable(10%)",
    ),
    wrong("misplaced-stage", "linear(to = 0)", "let it stand last", schedule="constant -> linear(to = 0)"),
    wrong(
        "misplaced-stage",
        "warmup(10%)",
        "at its peak already",
        schedule="stable(10%) -> warmup(10%)",
        right="warmup(10%) -> stable(10%)",
    ),
    wrong(
        "schedule-too-long",
        "40 * epoch",
        "longer than the run, which has 30 epochs",
        schedule="warmup(40 * epoch)",
        right="warmup(30 * epoch)",
    ),
    wrong(
        "schedule-too-long",
        "50%",
        "110% of the run",
        schedule="warmup(60%) -> stable(50%)",
        right="warmup(60%) -> stable(40%)",
    ),
    wrong(
        "schedule-too-long",
        "linear(to = 0)",
        "nothing is left",
        schedule="warmup(50%) -> stable(50%) -> linear(to = 0)",
        right="warmup(50%) -> stable(49%) -> linear(to = 0)",
    ),
    wrong("schedule-too-long", "2_000", "1000 steps", schedule="warmup(2_000)", case="text", right="warmup(1_000)"),
    wrong(
        "doubtful-part",
        "6e-5",
        "write `10%` for a rate of 6e-5",
        schedule="cosine(to = 6e-5)",
        case="text",
        severity="warning",
        right="cosine(to = 10%)",
    ),
    wrong("wrong-value", "500", "write `every(500)`", validate="500", right="every(500)"),
    wrong("wrong-value", "500", "every(1_000, keep = 3)", checkpoint="500", right="every(500)"),
    wrong("wrong-value", "0", "at least 1", checkpoint="every(500, keep = 0)"),
    wrong("unknown-option", "keep", "`every` has no option", validate="every(500, keep = 3)"),
    wrong("too-many-arguments", "3", validate="every(100, 3)"),
    wrong(
        "needs-validation",
        "early_stop = patience(5)",
        "validate = every(epoch)",
        early_stop="patience(5)",
        validate="none",
        right="patience(5)",
    ),
    wrong(
        "needs-validation",
        "validate = every(epoch)",
        "keeps none",
        data="digits(split = [1, 0])",
        validate="every(epoch)",
        right="digits(split = [1, 0])",
    ),
    wrong(
        "unknown-name",
        '"validation.acc"',
        '"validation.accuracy"',
        early_stop='patience(5, on = "validation.acc")',
        validate="every(epoch)",
        metrics="[accuracy(logits, data.label)]",
        right={
            "early_stop": 'patience(5, on = "validation.accuracy")',
            "validate": "every(epoch)",
            "metrics": "[accuracy(logits, data.label)]",
        },
    ),
    wrong(
        "needs-text",
        'sample = every(9, prompt = "A")',
        "LM is no model of that",
        sample='every(9, prompt = "A")',
        case="text",
        model=TWO_INPUTS,
    ),
    wrong("needs-text", 'sample = every(100, prompt = "A")', "no tokenizer", sample='every(100, prompt = "A")'),
    wrong(
        "missing-option",
        "every(100)",
        "needs `prompt`",
        sample="every(100)",
        case="text",
        right='every(100, prompt = "A")',
    ),
    wrong("unknown-name", "kaiming", "write `he`", init="kaiming(0.1)"),
    wrong("wrong-value", "0", "above 0", init="normal(0)", right="normal(0.02)"),
    wrong("wrong-value", "0.02", "normal(0.02)", init="0.02"),
]
