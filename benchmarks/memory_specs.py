"""Systems whose memory is measured, at sizes that a small machine trains."""

from __future__ import annotations

from dataclasses import dataclass

from programs import SPECS

RESNET = """dlspec 1
classes = 1000
side    = 64
width   = 64
default Conv2d(bias = false)
block Basic(out, stride = 1) {
  residual(skip = project(out, stride)) {
    conv1: Conv2d(out, kernel = 3, stride = stride, pad = 1) -> norm1: BatchNorm -> relu
    conv2: Conv2d(out, kernel = 3, pad = 1) -> norm2: BatchNorm
  }
  relu
}
model ResNet18: (image: [B, 3, H <= side, W <= side]) -> (logits: [B, classes]) {
  stem: {
    conv: Conv2d(width, kernel = 7, stride = 2, pad = 3) -> norm: BatchNorm -> relu
    max_pool(3, stride = 2, pad = 1)
  }
  stage1: { Basic(width) -> Basic(width) }
  stage2: { Basic(2 * width, stride = 2) -> Basic(2 * width) }
  stage3: { Basic(4 * width, stride = 2) -> Basic(4 * width) }
  stage4: { Basic(8 * width, stride = 2) -> Basic(8 * width) }
  mean(over = [H, W])
  head: Linear(classes)
}
train ResNet18 {
  data      = arrays("pictures.npz")
  loss      = cross_entropy(logits, data.label, smoothing = 0.1)
  optimizer = SGD(lr = 0.1, momentum = 0.9, decay = 1e-4)
  steps     = 10
  batch     = 256
}
"""
TRANSFORMER = """dlspec 1
vocab  = 37_000
window = 256
dim    = 512
heads  = 8
depth  = 6
drop   = 0.1
pad    = 0
default residual(post = LayerNorm, drop = drop)
block Mlp(hidden) {
  up: Linear(hidden) -> relu -> down: Linear(dim)
}
model Transformer: (source: int[B, S <= window], target: int[B, T <= window]) -> (logits: [B, T, vocab]) {
  embed = tok: Embedding(vocab, dim) * sqrt(dim) + Sinusoid(dim) -> Dropout(drop)
  real = source != pad
  memory = source -> embed -> encoder: repeat(depth) {
    residual { attn: SelfAttention(heads, mask = real) }
    residual { mlp: Mlp(4 * dim) }
  }
  target -> embed -> decoder: repeat(depth) {
    residual { attn: SelfAttention(heads, causal = true) }
    residual { cross: CrossAttention(heads, memory = memory, mask = real) }
    residual { mlp: Mlp(4 * dim) }
  }
  head: Linear(vocab, bias = false, weight = tok.weight)
}
train Transformer {
  data      = arrays("pairs.npz")
  loss      = cross_entropy(logits, data.targets, smoothing = 0.1, ignore = pad)
  optimizer = Adam(lr = 1e-3, betas = [0.9, 0.98], eps = 1e-9)
  steps     = 10
  batch     = 128
}
"""


@dataclass(frozen=True)
class System:
    """A spec with what is set, the batches it is measured at, and how many numbers its inputs count up to."""

    name: str
    text: str
    overrides: tuple[str, ...]
    batches: tuple[int, ...]
    quick: tuple[str, ...] = ()
    """What is set besides, where it only has to be seen that all works."""


def _spec(name: str) -> str:
    return (SPECS / f"{name}.dlspec").read_text(encoding="utf-8")


_ONE_CARD = ("train.parallel=none", "train.precision=fp32")
_LITTLE = ("vocab=300", "context=32", "dim=32", "heads=2", "depth=2")
SYSTEMS = (
    System("char-GPT", _spec("chargpt"), (), (4, 16, 64), ("context=16", "dim=32", "heads=2", "depth=2")),
    System(
        "GPT-2, narrow",
        _spec("gpt"),
        (*_ONE_CARD, "vocab=5_000", "context=256", "dim=192", "heads=6", "depth=6"),
        (1, 4, 12),
        _LITTLE,
    ),
    System(
        "GPT-2, narrow, bf16",
        _spec("gpt"),
        ("train.parallel=none", "vocab=5_000", "context=256", "dim=192", "heads=6", "depth=6"),
        (1, 4, 12),
        _LITTLE,
    ),
    System("ResNet-18", RESNET, (), (4, 16, 64), ("side=32", "width=16")),
    System(
        "Transformer",
        TRANSFORMER,
        ("vocab=5_000", "window=64", "dim=256", "depth=3"),
        (2, 8, 32),
        ("vocab=300", "window=16", "dim=32", "heads=2", "depth=2"),
    ),
)
