"""What each combinator does and what its options mean: for the editor and the language reference.

The layers and the classes of training carry their documentation themselves; combinators are no classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Combinator:
    """`signature` is how it is written, `text` what it does, `options` what each option means, in the order in which
    they may stand without their name, `words` the bare words that an option takes. `body` says whether it is followed
    by braces."""

    signature: str
    text: str
    example: str
    options: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bool = True


ENTRIES: Mapping[str, Combinator] = {
    "residual": Combinator(
        "residual(pre =, out =, post =, skip =, scale =, gain =, layer_scale =, gate =, drop =, drop_path =) { f }",
        "`y = post(scale * skip(x) + drop_path(gain * layer_scale * h))` with `h = drop(out(f(pre(x))))`. What is left "
        "out is the identity, or 1. `pre = LayerNorm` is pre-norm, `post = LayerNorm` post-norm, `pre` with `out` "
        "sandwich norm, `out` alone res-post-norm. Both branches must end in the same shape. "
        "`default residual(post = LayerNorm)` sets it for a whole file.",
        "residual(pre = LayerNorm) { mlp: Linear(64) -> relu -> Linear(16) }",
        {
            "pre": "A flow in front of the body, inside the branch: `pre = LayerNorm` is pre-norm.",
            "out": "A flow behind the body, still inside the branch: with `pre` it is sandwich norm, alone "
            "res-post-norm.",
            "post": "A flow behind the sum: `post = LayerNorm` is post-norm.",
            "skip": "A flow on the other branch, which is the identity if left out. `project(out, stride)` fits its "
            "shape to the body's.",
            "scale": "A fixed number that the skip branch is multiplied by. `deepnorm` takes DeepNorm's from the depth "
            "of the `repeat` around it, and its smaller initial weights.",
            "gain": "A learned number that the body's branch is multiplied by, starting from the number given: "
            "`gain = 0` is ReZero.",
            "layer_scale": "As `gain`, with a learned number for each channel, starting from the number given.",
            "gate": "A flow that gives numbers from 0 to 1 which mix the branches: `g * h + (1 - g) * skip(x)`. "
            "`gate = Linear(D) -> sigmoid` is a highway layer.",
            "drop": "The probability of dropout behind the body, below 1.",
            "drop_path": "The probability with which a whole branch is dropped for an example, in training only, "
            "below 1.",
        },
        words={"scale": ("deepnorm",)},
    ),
    "repeat": Combinator(
        "repeat(count, index = i) { f }",
        "`count` copies of the body one after the other, each with weights of its own. No copies are the identity. "
        "In the checkpoint they are numbered below its label: `blocks.0`.",
        "blocks: repeat(12) { residual { attn: SelfAttention(12) } }",
        {
            "count": "How many copies, a whole number that is known when the model is built.",
            "index": "A name for the number of the copy, counted from 0, for attributes and `if` in the body.",
        },
    ),
    "dense": Combinator(
        "dense(axis = channels) { f }",
        "`concat(x, f(x))`: the body's result is appended to what comes in, as in DenseNet.",
        "dense { BatchNorm -> relu -> Conv2d(32, kernel = 3, pad = 1) }",
        {"axis": "The axis to append along; the channel axis if left out (1 for images, else the last)."},
    ),
    "share": Combinator(
        "share(n) { f }",
        "One copy of the body, applied `n` times one after the other with the same weights.",
        "share(6) { residual { mlp: Linear(64) } }",
        {"n": "How many times, a whole number that is known when the model is built."},
    ),
    "checkpoint": Combinator(
        "checkpoint { f }",
        "Activations of the body are not kept for the backward pass but computed again: less memory, more time. "
        "It changes no number.",
        "checkpoint { residual { attn: SelfAttention(12) } }",
    ),
    "experts": Combinator(
        "experts(n, top = 2, balance = 0.01) { f }",
        "`n` copies of the body; a learned router sends each token through the `top` best of them and adds up what "
        "they give, weighted by the router: a softmax over all copies, which with `top` beyond 1 is divided by its sum "
        "over those that are taken (Shazeer et al. 2017; with `top = 1` as in Fedus et al. 2022). No token is dropped. "
        "In ONNX every copy computes every token, and counts where it was taken.",
        "experts(8, top = 2) { Linear(256) -> gelu -> Linear(64) }",
        {
            "n": "How many copies.",
            "top": "How many of them a token goes through.",
            "balance": "The weight of a loss that joins the training loss (Fedus et al. 2022): `n` times the sum, over "
            "the copies, of the share of choices that fell on a copy times its mean softmax; 1 where all are equally "
            "busy. Where they run several times in a pass, each run adds its own. 0 is none.",
        },
    ),
    "momentum_copy": Combinator(
        "momentum_copy(label, rate)",
        "An untrained copy of a labelled module that follows its weights: after each update "
        "`copy = rate * copy + (1 - rate) * weights`. It begins with the weights of the module. Its norms keep running "
        "statistics of their own, of what the copy sees; gradients go through it, never into it.",
        "momentum_copy(encoder, 0.999)",
        {"label": "The module that is copied.", "rate": "How much of itself the copy keeps in an update, below 1."},
        body=False,
    ),
    "project": Combinator(
        "project(out, stride = 1)",
        "For `skip` of a residual: the identity where shapes agree, else a 1x1 convolution without bias and a "
        "BatchNorm.",
        "residual(skip = project(128, stride = 2)) { Conv2d(128, kernel = 3, stride = 2, pad = 1) }",
        {"out": "The channels that the body ends in.", "stride": "The stride of the body."},
        body=False,
    ),
}
