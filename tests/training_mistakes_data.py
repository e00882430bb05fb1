"""Mistakes in the `data` of a recipe and in what is held against it."""

from __future__ import annotations

from training_cases import PICTURES, TEXT
from training_mistakes import wrong

LOGITS = "mse(logits, logits)"
FLAT = PICTURES.replace("[B, 1, 8, 8]", "[B, 64]")
COLOUR = PICTURES.replace("[B, 1, 8, 8]", "[B, 3, 8, 8]")
LARGE = PICTURES.replace("[B, 1, 8, 8]", "[B, 1, 12, 12]")
VIEWS = PICTURES.replace("image: [B, 1, 8, 8]", "view1: [B, 1, 8, 8], view2: [B, 1, 8, 8]").replace(
    "  flatten", "  view1 + view2 -> flatten"
)
GIVEN_LABELS = PICTURES.replace("image: [B, 1, 8, 8]", "image: [B, 1, 8, 8], label: int[B]").replace(
    "  flatten ->", "  (image -> flatten) + (label -> Embedding(10, 64)) ->"
)
SCORES = PICTURES.replace("image: [B, 1, 8, 8]", "features: [B, 2]").replace("  flatten ->", " ")
IRIS = SCORES.replace("[B, 2]", "[B, 4]").replace("classes = 10", "classes = 3")
SPEAKS = PICTURES.replace("image: [B, 1, 8, 8]", "audio: [B, T, 1]").replace("  flatten ->", "  first ->")
PAIRS = TEXT.replace("(tokens: int[B, T <= context])", "(source: int[B, S <= context], target: int[B, T])").replace(
    "  Embedding(vocab, 16) ->",
    "  source -> Embedding(vocab, 16) -> mean(over = 1, keep = true) as a\n"
    "  target -> Embedding(vocab, 16) as b\n  a + b ->",
)
MASKED = TEXT.replace("vocab = 256", "vocab = 200")
GOOD_PAIRS = 'pairs("a.de", "a.en", window = 64)'
TABLE_LOSS = "mse(logits, logits)"

DATA_MISTAKES = [
    # --- sources
    wrong(
        "unknown-name", "image_folder", "write `images`", data='image_folder("a/")', model=COLOUR, right='images("a/")'
    ),
    wrong("missing-option", "images", "`images` needs `folder`", data="images", model=COLOUR, right='images("a/")'),
    wrong("wrong-value", "0", "a size in pixels", data='images("a/", size = 0)', model=COLOUR),
    wrong("wrong-value", "[8, 8, 8]", "[height, width]", data='images("a/", size = [8, 8, 8])', model=COLOUR),
    wrong("unknown-name", "cmyk", "`gray`, `rgb`", data='images("a/", colour = cmyk)', model=COLOUR),
    wrong(
        "shape-mismatch",
        'images("a/", size = 8)',
        "[B, 1, 8, 8]",
        "[B, 3, 8, 8]",
        data='images("a/", size = 8)',
        right='images("a/", size = 8, colour = gray)',
    ),
    wrong(
        "shape-mismatch",
        "9",
        "9 here, and 8 in the model",
        data='idx("a.gz", "b.gz", size = 9)',
        right='idx("a.gz", "b.gz", size = 8)',
    ),
    wrong(
        "head-width",
        "logits",
        "12 classes",
        data='images("a/", size = 8, colour = gray, classes = 12)',
        right='images("a/", size = 8, colour = gray, classes = 10)',
    ),
    wrong("unknown-field", "data.label", "`data.image`", data='idx("a.gz")', right='idx("a.gz", "b.gz")'),
    wrong(
        "conflict",
        "10",
        "no file has labels",
        data='idx("a.gz", classes = 10)',
        loss=LOGITS,
        right={"data": 'idx("a.gz")', "loss": LOGITS},
    ),
    wrong(
        "wrong-value",
        '"c.gz"',
        "two files",
        data='idx("a.gz", "b.gz", validation = "c.gz")',
        right='idx("a.gz", "b.gz", validation = ["c.gz", "d.gz"])',
    ),
    wrong(
        "conflict",
        "[0.5, 0.5]",
        "not from both",
        data='images("a/", colour = gray, validation = "b/", split = [0.5, 0.5])',
    ),
    wrong(
        "wrong-value",
        '"a.txt"',
        ".csv, .parquet, .jsonl",
        data='table("a.txt", features = ["a", "b"])',
        loss=TABLE_LOSS,
        model=SCORES,
        right={"data": 'table("a.csv", features = ["a", "b"])', "loss": TABLE_LOSS},
        right_model=SCORES,
    ),
    wrong(
        "shape-mismatch",
        '["a", "b", "c"]',
        "3 here, and 2 in the model",
        data='table("a.csv", features = ["a", "b", "c"])',
        loss=TABLE_LOSS,
        model=SCORES,
    ),
    wrong(
        "conflict",
        '"a"',
        "a feature and the target too",
        data='table("a.csv", features = ["a", "b"], target = "a")',
        loss=TABLE_LOSS,
        model=SCORES,
    ),
    wrong(
        "conflict",
        "3",
        "no column is the target",
        data='table("a.csv", features = ["a", "b"], classes = 3)',
        loss=TABLE_LOSS,
        model=SCORES,
    ),
    wrong(
        "unknown-option",
        "label",
        "write `target`",
        data='table("a.csv", features = ["a", "b"], label = "c")',
        loss=TABLE_LOSS,
        model=SCORES,
    ),
    wrong(
        "head-width",
        "logits",
        "3 classes",
        data='table("a.csv", features = ["a", "b"], target = "c", classes = 3)',
        loss="cross_entropy(logits, data.target)",
        model=SCORES,
    ),
    wrong("missing-option", 'audio("a/")', "`audio` needs `seconds`", data='audio("a/")', model=SPEAKS),
    wrong(
        "wrong-value",
        "0.00001",
        "not whole",
        data='audio("a/", seconds = 0.00001)',
        model=SPEAKS,
        right='audio("a/", seconds = 0.5)',
        right_model=SPEAKS,
    ),
    wrong(
        "shape-mismatch",
        'audio("a/", seconds = 1)',
        "[B, 64]",
        "[B, 16000 * 1, 1]",
        data='audio("a/", seconds = 1)',
        model=SPEAKS.replace("[B, T, 1]", "[B, 64]").replace("first ->", ""),
    ),
    wrong(
        "conflict",
        '"a.en"',
        "2 files, and `target` 1",
        data='pairs(["a.de", "b.de"], "a.en", window = 8)',
        case="text",
        model=PAIRS,
        right='pairs(["a.de", "b.de"], ["a.en", "b.en"], window = 8)',
        right_model=PAIRS,
    ),
    wrong(
        "shape-mismatch",
        "65",
        "`S` is at most context (64)",
        data='pairs("a.de", "a.en", window = 65)',
        case="text",
        model=PAIRS,
        right=GOOD_PAIRS,
        right_model=PAIRS,
    ),
    wrong("unbound-input", GOOD_PAIRS, "the input `tokens`", data=GOOD_PAIRS, case="text"),
    wrong(
        "head-width",
        "logits",
        "8_000",
        "tokens",
        data='pairs("a.de", "a.en", tokenizer = bpe(8_000), window = 64)',
        case="text",
        model=PAIRS,
    ),
    wrong("unknown-name", "iriss", "write `iris`", data="iriss", model=IRIS),
    wrong(
        "unknown-option",
        "window",
        "`iris` has no option",
        data="iris(window = 3)",
        model=IRIS,
    ),
    wrong("shape-mismatch", "wine", "[B, 2]", "[B, 13]", data="wine", loss=LOGITS, model=SCORES),
    wrong("head-width", "logits", "3 classes", data="iris", model=SCORES.replace("[B, 2]", "[B, 4]")),
    # --- augmentations
    wrong("unknown-name", "RandomCrop", "write `random_crop`", data="digits -> RandomCrop(4)"),
    wrong("wrong-value", "3", "`data` takes an augmentation", data="digits -> 3"),
    wrong("missing-option", "random_crop", "needs `size`", data="digits -> random_crop"),
    wrong(
        "unknown-option",
        "padding",
        "write `pad`",
        data="digits -> random_crop(8, padding = 4)",
        right="digits -> random_crop(8, pad = 4)",
    ),
    wrong("unfit-augmentation", "13", "8 high, 12 with `pad`", data="digits -> random_crop(13, pad = 2)"),
    wrong(
        "unfit-augmentation", "9", "cuts 9 pixels", data="digits -> center_crop(9)", right="digits -> center_crop(8)"
    ),
    wrong(
        "shape-mismatch",
        "resize(12)",
        "12 here, and 8 in the model",
        data="digits -> resize(12)",
        right="digits -> resize(8)",
    ),
    wrong(
        "shape-mismatch",
        "random_crop(12, pad = 2)",
        "12 here",
        data="digits -> random_crop(12, pad = 2)",
        right_model=LARGE,
        right="digits -> random_crop(12, pad = 2)",
    ),
    wrong(
        "wrong-value", "[1, 0.5]", "the smaller one first", data="digits -> random_resized_crop(8, scale = [1, 0.5])"
    ),
    wrong(
        "wrong-value",
        "[0.5, 1.5]",
        "two parts of the whole",
        data="digits -> random_resized_crop(8, scale = [0.5, 1.5])",
    ),
    wrong("wrong-value", "2", "from 0 to 1", data="digits -> random_flip(2)", right="digits -> random_flip(0.3)"),
    wrong("unknown-name", "sideways", "`horizontal`, `vertical`", data="digits -> random_flip(axis = sideways)"),
    wrong("wrong-value", "200", "degrees, from 0 to 180", data="digits -> random_rotation(200)"),
    wrong("wrong-value", "0.6", "from 0 to 0.5", data="digits -> color_jitter(hue = 0.6)"),
    wrong(
        "unfit-augmentation",
        "0.1",
        "three channels, and these have 1",
        data="digits -> color_jitter(hue = 0.1)",
        right="digits -> color_jitter(contrast = 0.1)",
    ),
    wrong(
        "unfit-augmentation",
        "imagenet",
        "3 channels, and the pictures have 1",
        data="digits -> normalize(imagenet)",
        right="digits -> normalize([0.5], [0.5])",
    ),
    wrong("unfit-augmentation", "[0.5, 0.5]", "2 here", data="digits -> normalize([0.5, 0.5], [0.5, 0.5])"),
    wrong("missing-option", "normalize([0.5])", "needs `std`", data="digits -> normalize([0.5])"),
    wrong("conflict", "[0.5, 0.5]", "`mean` has 1 entries", data="digits -> normalize([0.5], [0.5, 0.5])"),
    wrong("conflict", "[1]", "deviations too", data="digits -> normalize(imagenet, [1])"),
    wrong("wrong-value", "[0]", "above 0", data="digits -> normalize([0.5], [0])"),
    wrong("wrong-value", "cifar", "a list of numbers or `imagenet`", data="digits -> normalize(cifar)"),
    wrong(
        "unfit-augmentation",
        "mixup(0.2)",
        "no field `label`",
        data='idx("a.gz") -> mixup(0.2)',
        loss=LOGITS,
        right={"data": 'idx("a.gz", "b.gz") -> mixup(0.2)'},
    ),
    wrong("wrong-value", "0", "above 0", data="digits -> mixup(0)", right="digits -> mixup(0.2)"),
    wrong(
        "unfit-augmentation",
        "color_jitter(0.4)",
        "put it first",
        data="digits -> normalize([0.5], [0.5]) -> color_jitter(0.4)",
        right="digits -> color_jitter(0.4) -> normalize([0.5], [0.5])",
    ),
    wrong(
        "unfit-augmentation",
        "color_jitter(0.4)",
        "put it first",
        data="digits -> normalize([0.5], [0.5]) -> two_views(color_jitter(0.4))",
        model=VIEWS,
        right="digits -> two_views(color_jitter(0.4)) -> normalize([0.5], [0.5])",
    ),
    wrong(
        "unfit-augmentation",
        "mixup",
        "`mixup` mixes labels too, and a view has none of its own",
        data="digits -> two_views(mixup)",
        model=VIEWS,
        right="digits -> two_views(random_flip) -> mixup",
    ),
    wrong(
        "unfit-augmentation",
        "two_views(random_flip)",
        "views of views are not made",
        data="digits -> two_views(two_views(random_flip))",
        model=VIEWS,
        right="digits -> two_views(random_flip)",
    ),
    wrong(
        "conflict",
        "data.label",
        "`mixup` makes labels probabilities of the classes",
        "`focal` takes one class",
        "cross_entropy(logits, data.label)",
        data="digits -> mixup",
        loss="focal(logits, data.label)",
        right={"data": "digits -> mixup"},
    ),
    wrong(
        "conflict",
        "data.label",
        "`ignore` of `cross_entropy` takes one class",
        data="digits -> cutmix",
        loss="cross_entropy(logits, data.label, ignore = 3)",
        right={"data": "digits -> cutmix"},
    ),
    wrong(
        "conflict",
        "mixup",
        "the input `label` of MLP is int[B]",
        data="digits -> mixup",
        model=GIVEN_LABELS,
        right="digits",
    ),
    wrong(
        "unfit-augmentation",
        "random_flip",
        "no field holds any",
        data='text("*.txt", window = 8) -> random_flip',
        case="text",
    ),
    wrong("unfit-augmentation", "mask_tokens(15%)", "no field `tokens`", data="digits -> mask_tokens(15%)"),
    wrong(
        "wrong-value",
        "150%",
        "up to 100%",
        data='text("*.txt", window = 8) -> mask_tokens(150%)',
        case="text",
        right='text("*.txt", window = 8) -> mask_tokens(15%)',
    ),
    wrong(
        "wrong-value",
        "256",
        "256 tokens, counted from 0",
        data='text("*.txt", window = 8) -> mask_tokens(15%, token = 256)',
        case="text",
        right='text("*.txt", window = 8) -> mask_tokens(15%, token = 255)',
    ),
    wrong(
        "head-width",
        "logits",
        "vocab (200) wide",
        data='text("*.txt", window = 8) -> mask_tokens(15%)',
        case="text",
        model=MASKED,
    ),
    wrong(
        "unbound-input",
        "digits",
        "the input `image`",
        data="digits -> two_views(random_flip)",
        loss=LOGITS,
        right_model=VIEWS,
        right={"data": "digits -> two_views(random_flip)"},
    ),
    wrong(
        "unbound-input",
        "digits",
        "`view1`",
        data="digits",
        loss=LOGITS,
        model=VIEWS.replace(", view2: [B, 1, 8, 8]", "").replace(" + view2", ""),
    ),
    wrong(
        "unfit-augmentation", "20", "20 pixels", data="digits -> two_views(random_crop(20))", loss=LOGITS, model=VIEWS
    ),
    wrong(
        "unknown-name",
        "random_flp",
        "write `random_flip`",
        data="digits -> two_views(random_flp)",
        loss=LOGITS,
        model=VIEWS,
    ),
    wrong("missing-option", "two_views", "needs `flow`", data="digits -> two_views", loss=LOGITS, model=VIEWS),
    wrong(
        "unfit-augmentation",
        "imagenet",
        "3 channels",
        data="digits -> two_views(random_flip) -> normalize(imagenet)",
        loss=LOGITS,
        model=VIEWS,
    ),
    wrong(
        "unfit-augmentation",
        "two_views(random_flip)",
        "two views already",
        data="digits -> two_views(random_flip) -> two_views(random_flip)",
        loss=LOGITS,
        model=VIEWS,
    ),
    wrong(
        "wrong-value",
        "bpee",
        "write `bpe`",
        data='text("*.txt", tokenizer = bpee(256), window = 8)',
        case="text",
        right='text("*.txt", tokenizer = bpe(256), window = 8)',
    ),
]
