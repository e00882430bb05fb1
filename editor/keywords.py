"""The words that the language itself is made of, such as `block` and `as`."""

from __future__ import annotations

from .documentation import Page

_BLOCK = """block Mlp(width): [B, T, D] -> [B, T, D] {
  Linear(width) -> gelu
  Linear(D)
}"""
_MODEL = """model Net: (x: [B, 8]) -> (logits: [B, 10]) {
  Linear(10)
}"""
_TRAIN = """train Net {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-3)
  epochs    = 2
  batch     = 64
}"""
_PHASE = """phase critic {
  update = [critic]
  loss   = mse(real, 1)
}"""
_CHOICE = ("then if condition else otherwise", "Chooses when the model is built; only the chosen side makes modules.")
_FLAG = ("bias = true", "True or false, for the options that take it.")

_PAGES = (
    Page("dlspec", "dlspec 1", "The first line of every file: the version of the language.", "dlspec 1"),
    Page(
        "import",
        'import "file.dlspec"',
        "Brings blocks, functions and constants of another file under their own names, or layers written in Python.",
        'import "blocks.dlspec"',
    ),
    Page(
        "default",
        "default Layer(option = value)",
        "Gives options, by name, to every later use in this file, block or model. A nearer default wins, an argument "
        "beats both, and `none` takes an option away.",
        "default Linear(bias = false)",
    ),
    Page(
        "block",
        "block Name(parameters): [dims] -> [dims] { ... }",
        "A reusable piece. Parameters are fixed when the model is built; the signature may be left out, and is checked "
        "where it stands.",
        _BLOCK,
    ),
    Page(
        "model",
        "model Name: (input: [dims]) -> (output: [dims]) { ... }",
        "An entry point, with the names and types of its inputs and outputs. In another model it stands like a block.",
        _MODEL,
    ),
    Page("train", "train Name { key = value }", "How a model learns; `train Name as other` is another recipe.", _TRAIN),
    Page(
        "export",
        "export Name { format(path) }",
        "What to ship of a model, a call a line.",
        'export Net {\n  onnx("net.onnx")\n}',
    ),
    Page(
        "phase", "phase name { key = value }", "A part of a training step with a loss and an update of its own.", _PHASE
    ),
    Page(
        "as",
        "flow as name, other",
        "Names what flows out of a line, its results in order; `_` skips one. It ends the line.",
        "Linear(64) as hidden",
    ),
    Page("if", *_CHOICE, "window = 4096 if i % 2 == 0 else none"),
    Page("else", *_CHOICE, "window = 4096 if i % 2 == 0 else none"),
    Page("true", *_FLAG, "Linear(8, bias = true)"),
    Page("false", *_FLAG, "Linear(8, bias = false)"),
    Page(
        "none",
        "option = none",
        "Takes an option away, also one that a `default` gives.",
        "residual(post = none) { relu }",
    ),
)
KEYWORDS = {page.word: page for page in _PAGES}
