"""Small specs, files and programs for the tests of weights that a training starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dlspec.api.compilation import program_of
from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime import Program
from dlspec.runtime.weights import open_start

MODEL = """
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten -> stem: Linear(16) -> relu
  blocks: repeat(2) { mlp: { up: Linear(12) -> relu -> down: Linear(16) } }
  head: Linear(10)
}
"""

SHAPES = {
    "stem.weight": (16, 64),
    "stem.bias": (16,),
    **{f"blocks.{i}.mlp.up.weight": (12, 16) for i in range(2)},
    **{f"blocks.{i}.mlp.up.bias": (12,) for i in range(2)},
    **{f"blocks.{i}.mlp.down.weight": (16, 12) for i in range(2)},
    **{f"blocks.{i}.mlp.down.bias": (16,) for i in range(2)},
    "head.weight": (10, 16),
    "head.bias": (10,),
}


def spec(start: str, model: str = MODEL, **keys: str) -> str:
    """A spec of a model that starts from `start`."""
    lines = {
        "start": start,
        "data": "digits",
        "loss": "cross_entropy(logits, data.label)",
        "optimizer": "AdamW(lr = 1e-3)",
        "steps": "8",
        "batch": "32",
    } | keys
    body = "\n".join(f"  {key} = {value}" for key, value in lines.items())
    return f"dlspec 1\n{model}\ntrain {model.split()[1].strip(':')} {{\n{body}\n}}\n"


def program(text: str, overrides: Sequence[str] = (), recipe: str | None = None) -> Program:
    return program_of(emit(analyse(Source("net.dlspec", text), overrides), recipe))


def drawn(shapes: Mapping[str, tuple[int, ...]] = SHAPES, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def started(program: Program, base: Path) -> nn.Module:
    """The model with the weights that the program starts from, in evaluation."""
    model = program.make_model()
    assert program.options.start is not None
    open_start(program.options.start, base).fill(model, program.options.copies)
    return model.eval()
