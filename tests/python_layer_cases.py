"""Files with layers written in Python, and specs that use them."""

from __future__ import annotations

from dlspec.compiler.pipeline import Analysis, analyse
from dlspec.grammar import Source

WAVELET = '''"""Layers of wavelets."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class Wavelet(nn.Module):
    """`Wavelet(levels)`: [B, T, C] -> [B, T // 2^levels, C], the coarse part of a Haar transform, mixed and scaled."""

    def __init__(
        self,
        input_shape: tuple[int | None, ...],
        levels: int = 1,
        *,
        kind: Literal["haar", "mean"] = "haar",
        spread: float = 0.1,
    ) -> None:
        super().__init__()
        self.levels, self.factor = levels, 2**-0.5 if kind == "haar" else 0.5
        self.gain = nn.Parameter(torch.empty(input_shape[-1]))
        self.mix = nn.Linear(input_shape[-1], input_shape[-1])
        self.register_buffer("offset", torch.full((1,), 0.25))
        nn.init.normal_(self.gain, 1.0, spread)

    @staticmethod
    def shape(input_shape, levels):
        batch, length, channels = input_shape
        if levels > 4:
            raise ValueError("four levels at most")
        return batch, length // 2**levels, channels

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.levels):
            x = x[:, : x.shape[1] // 2 * 2]
            x = (x[:, 0::2] + x[:, 1::2]) * self.factor
        return self.mix(x) * self.gain + self.offset
'''

SPEC = """dlspec 1

import "wavelet.py"

width = 8

model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  reshape([B, 8, 8])
  Linear(width)
  wave: Wavelet(1, kind = mean)
  relu
  flatten
  head: Linear(10)
}

train Net {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  metrics   = [accuracy(logits, data.label)]
  optimizer = AdamW(lr = 3e-3)
  steps     = 6
  batch     = 32
}

export Net {
  onnx("net.onnx")
  torchscript("net.pt")
}
"""

PLAIN = '''import torch
from torch import Tensor, nn


class Wave(nn.Module):
    """A layer."""

    def __init__(self, input_shape, size: int = 3) -> None:
        super().__init__()

    @staticmethod
    def shape(input_shape):
        return input_shape

    def forward(self, x: Tensor) -> Tensor:
        return x
'''
"""A layer that does nothing: the cases change a part of it."""


def changed(**parts: str) -> str:
    """The plain layer with another `init` (parameters after self), `body`, `shape` (parameters), `gives`, `forward`
    (parameters) or `out`."""
    lines = {
        "init": ("input_shape, size: int = 3", "{}"),
        "body": ("super().__init__()", "super().__init__()\n        {}"),
        "shape": ("def shape(input_shape)", "def shape({})"),
        "gives": ("return input_shape", "return {}"),
        "forward": ("def forward(self, x: Tensor)", "def forward({})"),
        "out": ("return x", "return {}"),
    }
    text = PLAIN
    for name, part in parts.items():
        old, new = lines[name]
        assert text.count(old) == 1, name
        text = text.replace(old, new.format(part))
    return text


def used(
    text: str,
    line: str = "Wave",
    ports: str = "(x: [B, T, 8]) -> (y: [B, T, 8])",
    *,
    before: str = "",
    name: str = "waves.py",
    allow: bool = True,
) -> Analysis:
    """A model of one line that imports a file of this text."""
    spec = f'dlspec 1\nimport "{name}"\n{before}model Net: {ports} {{\n  {line}\n}}\n'
    return analyse(Source("net.dlspec", spec, {name: text}), allow_python=allow)


def told(analysis: Analysis) -> list[str]:
    """Each finding as `file:line code`."""
    return [f"{d.span.source.name}:{d.span.line} {d.code}" for d in analysis.diagnostics]
