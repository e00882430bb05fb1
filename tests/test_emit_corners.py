"""Small models at the edges of the language, each emitted, formatted, run, scripted and held against ONNX Runtime."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.pytorch.layout import fit
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

BODIES = {
    "a block that is handed itself": """
block Twice(f) { f -> f }
block A(f) { f -> Linear(8) }
model N: (x: [B, T, 8]) -> (y: [B, T, 8]) {
  Twice(Twice(Twice(Linear(8) -> RMSNorm)))
  A(Twice(A(Linear(4))))
}""",
    "a repeat of no copies under a label": """
model N: (x: [B, T, 8]) -> (y: [B, T, 8]) {
  outer: repeat(3, index = i) { inner: repeat(i, index = j) { a: Linear(8 * (i + 1) + j) -> b: Linear(8) } }
  none_at_all: repeat(0) { Linear(3) }
}""",
    "copies without weights beside copies with weights": """
model N: (x: [B, T, 8]) -> (y: [B, T, 8]) {
  repeat(4, index = i) { Linear(8) if i % 2 == 1 else tanh }
}""",
    "`none` in a nearer default": """
default Linear(bias = false)
block A { default Linear(bias = none)
  here: Linear(8) }
model N: (x: [B, T, 8]) -> (y: [B, T, 8]) { a: A
  b: Linear(8) }""",
    "comparisons as flags": """
wide = 16
deep = wide > 4
kind = "soft"
block A(window = none) { Linear(16) if window == none else Linear(4) }
model N: (x: [B, T, wide]) -> (y: [B, T, 8]) {
  Linear(wide, bias = deep) if deep else tanh
  repeat(2, index = i) { Linear(16, bias = i == 0) -> A(window = i if i > 0 else none) -> Linear(16) }
  Linear(8) if kind == "soft" and_nothing else tanh
}""".replace(" and_nothing", ""),
    "whole numbers that are written as fractions": """
wide = 1.6e1
half = wide * 0.5
block A(h) { Linear(h) -> Linear(h ^ 0.5 * 4) }
model N: (x: [B, T, 16]) -> (y: [B, T, half]) {
  Linear(wide) -> Linear(2.0) -> Linear(sqrt(wide)) -> A(25% * wide) -> A(wide)
  Linear(round_up(wide - 3, 0.5 * wide) / 2) -> Linear(round_up(half + 1, 4)) -> Linear(half)
  identity * half + wide * 1.0
}""",
    "whole numbers where floats are wanted": """
one = 1
two = 2.0
block A(a) { leaky_relu(a) -> swish(a) -> RMSNorm(offset = a) }
model N: (x: [B, T, 8]) -> (y: [B, T, 8]) {
  leaky_relu(1) -> leaky_relu(one) -> leaky_relu(two) -> swish(2) -> swish(one) -> elu
  RMSNorm(offset = one) -> RMSNorm(offset = 2) -> A(one) -> A(0.5)
}""",
    "floor division of a number": """
model N: (x: [B, T, 8], n: int[B, T]) -> (y: [B, T, 8], k: int[B, T], z: [B, T]) {
  2 // (x * x + 1) as y
  7 // (n * n + 1) as k
  7.5 // (n * n + 1) as z
}""",
    "names of Python's and of the library's": """
super = 8
block Rotary(range = 4, float = 2, nn = 3, round = 1): [B, T, D] -> [B, T, D] {
  Linear(range * float) -> repeat(range, index = max) { Linear(nn + round + max) } -> Linear(D)
}
model SelfAttention2: (x: [B, T <= 16, super]) -> (y: [B, T, super]) {
  Rotary -> Rotary(6) as torch
  residual { attn: SelfAttention(2, rotary = 100) } as config
  rotary: { self_attention: { SelfAttention(2, causal = true, rotary = 100) } } as print
  torch + config + print
}""",
    "lines that are too long": """
model N: (a_rather_long_name: [B, T, 8], another_quite_long_name: [B, T, 8], third: [B, 8]) -> (
  y: [B, T, 8], another_output: [B, T, 8], third_output: [B, 8],
) {
  a_rather_long_name + another_quite_long_name * a_rather_long_name - another_quite_long_name * another_quite_long_name
  -> a_very_long_label_for_a_module_that_is_small: Linear(8) + another_label_that_is_long: Linear(8) as y
  (y + a_rather_long_name + another_quite_long_name * y) * another_quite_long_name / 2.5 as another_output
  third -> identity * 2 as third_output
}""",
}  # fmt: skip


def emitted(body: str) -> Artefact:
    return compile(Source("corner.dlspec", f"dlspec 1\n{body}\n"))


def made(artefact: Artefact, code: str) -> Any:
    with torch.device("meta"):
        model = getattr(load_text(artefact.name, code), artefact.graph.model.name)()
    model.to_empty(device="cpu")
    model.init_weights(torch.Generator().manual_seed(0))
    return model.eval()


def inputs(artefact: Artefact, batch: int, length: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(batch)
    found = []
    for value in artefact.graph.model.inputs:
        sizes = re.findall(r"\w+", str(value.type).split("[")[1])
        shape = [{"B": batch, "T": length, "wide": 16, "super": 8}.get(size) or int(size) for size in sizes]
        whole = str(value.type).startswith("int")
        found.append(torch.randint(9, shape, generator=draw) if whole else torch.randn(shape, generator=draw))
    return found


@pytest.mark.parametrize("name", BODIES)
def test_it_runs_and_is_the_same_everywhere(name: str) -> None:
    import onnx_ir
    import onnxruntime

    artefact = emitted(BODIES[name])
    model = made(artefact, artefact.model_code)
    scripted = torch.jit.script(made(artefact, artefact.export_code))
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    proto = onnx_ir.to_proto(build(artefact.graph, weights, metadata={}))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch, length in ((1, 1), (3, 5)):
        given = inputs(artefact, batch, length)
        with torch.no_grad():
            wanted = model(*given)
            again = scripted(*given)
        wanted, again = (y if isinstance(y, tuple) else (y,) for y in (wanted, again))
        feeds = {v.name: x.numpy() for v, x in zip(artefact.graph.model.inputs, given, strict=True)}
        for port, y, z, o in zip(artefact.graph.model.outputs, wanted, again, session.run(None, feeds), strict=True):
            assert torch.equal(y, z)
            assert {False: torch.float32, True: torch.int64}[str(port.type).startswith("int")] == y.dtype
            np.testing.assert_allclose(np.asarray(o), y.numpy(), rtol=1e-4, atol=1e-5)


def test_all_of_them_are_clean_under_ruffs_defaults(tmp_path: Path) -> None:
    for number, body in enumerate(BODIES.values()):
        artefact = emitted(body)
        (tmp_path / f"model{number}.py").write_text(artefact.model_code, encoding="utf-8")
        (tmp_path / f"export{number}.py").write_text(artefact.export_code, encoding="utf-8")
    for command in (["check"], ["format", "--diff"]):
        run = [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_nearer_none_takes_the_default_away() -> None:
    keys = set(made(artefact := emitted(BODIES["`none` in a nearer default"]), artefact.model_code).state_dict())
    assert keys == {"a.here.weight", "a.here.bias", "b.weight"}


def test_a_block_in_itself_has_its_classes_below_what_they_make() -> None:
    code = emitted(BODIES["a block that is handed itself"]).model_code
    seen: set[str] = set()
    for name, text in re.findall(r"^class (\w+)\(nn.Module\):\n(.*?)(?=^class |\Z)", code, re.M | re.S):
        assert {made for made in re.findall(r"= (\w+)\(", text) if made not in seen} == set(), name
        seen.add(name)


LONG = "a" * 30
STATEMENTS = [
    f"    x = {LONG} + {LONG} * self.{LONG}(y) - {LONG}",
    f"    return ({LONG} + {LONG}) * self.f({LONG})",
    f"    return {LONG} + self.f({LONG}, {LONG}, other={LONG} * 2 + {LONG} * {LONG})",
    f"    x = self.f({LONG} + {LONG} * {LONG} * {LONG}, -{LONG})",
    f"    left, right = self.{LONG}({LONG}, {LONG})",
    f"    x = {LONG} >= {LONG} * {LONG} + {LONG}",
    f"    return torch.stack({LONG}, {LONG}).flatten(1).to(x)",
    f"    return torch.stack({LONG}, {LONG}).flatten(1).to(self.{LONG})",
    f"    x = self.{LONG}({LONG}).flatten(self.{LONG})",
    f"    x = self.f({LONG}.{LONG}(1)[1].{LONG}(2).{LONG}, {LONG})",
    f"    x = f({LONG}, {LONG}, other={LONG}).to({LONG})",
    f"    x = f({LONG}, {LONG}) - f({LONG}, {LONG}, other={LONG})",
    f"    x = f({LONG} * {LONG} * {LONG} * {LONG})",
    f"    x += {LONG} * ({LONG} - {LONG}) + f({LONG})",
    f"    x = {LONG} & ({LONG} | {LONG}) & {LONG}",
    f"    x = [p for p in {LONG}({LONG}) if p.{LONG}]",
    f"    x = [{LONG}(p, q) for p in {LONG}({LONG}) for q in p if p.{LONG} and q]",
    f"    def {LONG}({LONG}: Tensor) -> list[dict[str, {LONG}]]: ...",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_long_statements_break_as_ruff_breaks_them(statement: str) -> None:
    text = "\n".join(["def f():", *fit(statement), ""])
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", "-"]
    done = subprocess.run(ruff, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert all(len(line) <= 88 for line in text.splitlines())
