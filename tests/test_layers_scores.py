"""Attention whose scores a function of the file changes: the emitted class and ONNX against it written out here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from dlspec import check
from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.ir.text import graph_text
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

HEADER = """\
dlspec 1
cap_at = 20
scale = 0.3
tilt(s, q, k, h, slope, lift = 0.5) = s - slope * abs(q - k) * (h + 1) * lift
capped(s, q, k, h) = cap_at * tanh(s / cap_at)
near(s, q, k, h) = s if abs(q - k) < 3 else s - scale
causal_ish(s, q, k, h) = s if k <= q else s - 5
places(s, q, k, h) = s * q / (k + 1)
late(s, q, k, h) = s + sqrt(q + 9)
by_head(s, q, k, h) = s * h
"""

Score = Callable[[Tensor, Tensor, Tensor, Tensor, Any], Tensor]

SCORES: dict[str, Score] = {
    "tilt(slope = Weight([4], init = normal(1)))": lambda s, q, k, h, m: (
        s - m.a.slope[:, None, None] * (q - k).abs() * (h + 1) / 2
    ),
    "tilt(slope = 0.1, lift = 2)": lambda s, q, k, h, m: s - 0.1 * (q - k).abs() * (h + 1) * 2,
    "capped": lambda s, q, k, h, m: 20 * torch.tanh(s / 20),
    "near": lambda s, q, k, h, m: torch.where((q - k).abs() < 3, s, s - 0.3),
    "causal_ish": lambda s, q, k, h, m: torch.where(k <= q, s, s - 5),
    "places": lambda s, q, k, h, m: s * q / (k + 1),
    "late": lambda s, q, k, h, m: s + (q + 9).sqrt(),
    "by_head": lambda s, q, k, h, m: s * h,
}  # fmt: skip
PLACES = {
    "SelfAttention(4, {})": "x",
    "SelfAttention(4, kv_heads = 2, causal = true, softcap = 2, mask = seen, {})": "x",
    "CrossAttention(4, memory = m, window = 3, alibi = true, {})": "m",
    "attend(keys = m, values = m, heads = 4, kv_heads = 2, causal = true, {})": "m",
}


def compiled(call: str) -> tuple[Artefact, Any]:
    memory = 8 if call.startswith("attend") else 12
    inputs = {"x": "x: [B, T, 16]", "m": f"m: [B, S, {memory}]", "seen": "seen: bool[B, T]"}
    ports = ", ".join(port for name, port in inputs.items() if name == "x" or f"= {name}" in call)
    text = f"{HEADER}model M: ({ports}) -> (y: [B, T, 16]) {{\n  x -> a: {call}\n}}\n"
    artefact = compile(Source("scores.dlspec", text))
    model = load_text("scores", artefact.model_code).M()
    model.init_weights(torch.Generator().manual_seed(3))
    return artefact, model.eval()


def heads_of(x: Tensor, heads: int) -> Tensor:
    """[B, length, heads * width] -> [B, 4, length, width], shared ones repeated."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2).repeat_interleave(4 // heads, 1)


def reference(call: str, score: Score, model: Any, x: Tensor, sides: dict[str, Tensor]) -> Tensor:
    key_heads = 2 if "kv_heads = 2" in call else 4
    memory = sides.get("m", x)
    if call.startswith("attend"):
        q, k, v = x, memory, memory
    else:
        q, k, v = model.a.q(x), model.a.k(memory), model.a.v(memory)
    q, k, v = heads_of(q, 4), heads_of(k, key_heads), heads_of(v, key_heads)
    t, s = q.shape[2], k.shape[2]
    query = torch.arange(t, dtype=x.dtype)[:, None] + (s - t if "causal = true" in call else 0)
    key, head = torch.arange(s, dtype=x.dtype), torch.arange(4, dtype=x.dtype)[:, None, None]
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if "softcap" in call:
        scores = 2 * torch.tanh(scores / 2)
    scores = score(scores, query, key, head, model)
    if "alibi" in call:
        scores = scores - torch.tensor([4**-i for i in range(1, 5)])[:, None, None] * (query - key).abs()
    seen = torch.ones(x.shape[0], 1, t, s, dtype=torch.bool)
    if "causal = true" in call:
        seen = seen & (key <= query)
    if "window" in call:
        seen = seen & ((key - query).abs() < 3)
    if "mask" in call:
        seen = seen & sides["seen"][:, None, None]
    weights = scores.masked_fill(~seen, -math.inf).softmax(-1).nan_to_num(0)
    y = (weights @ v).transpose(1, 2).flatten(2)
    return y if call.startswith("attend") else model.a.o(y)


@pytest.mark.parametrize("written", SCORES)
@pytest.mark.parametrize("place", PLACES)
def test_a_function_of_the_file_as_score(place: str, written: str, tmp_path: Path) -> None:
    call = place.format(f"score = {written}")
    artefact, model = compiled(call)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    save(build(artefact.graph, weights, metadata={}), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    double = load_text("scores", artefact.model_code).M().double()
    double.load_state_dict(model.state_dict())
    names = [port.name for port in session.get_inputs()][1:]
    for t, s in ((5, 7), (7, 4), (1, 1)):
        random = torch.Generator().manual_seed(t)
        x = torch.randn(2, t, 16, generator=random)
        seen = torch.rand(2, t, generator=random) > 0.4
        seen[0] = False
        memory = torch.randn(2, s, 8 if call.startswith("attend") else 12, generator=random)
        sides = {name: {"m": memory, "seen": seen}[name] for name in names}
        wide = {name: value.double() if value.is_floating_point() else value for name, value in sides.items()}
        wanted = x.double().requires_grad_()
        found = double(wanted, *wide.values())
        expected = reference(call, SCORES[written], double, x.double(), wide)
        # Places are float32, and so is what is computed of them alone.
        assert (found - expected).abs().max() < 1e-5
        double.zero_grad()
        found.square().sum().backward()
        gradients = [wanted.grad, *(p.grad for p in double.parameters())]
        assert all(g is not None and g.isfinite().all() for g in gradients)
        (by_onnx,) = session.run(None, {"x": x.numpy(), **{name: value.numpy() for name, value in sides.items()}})
        assert np.abs(np.asarray(by_onnx) - expected.detach().numpy()).max() < 2e-5


def on_one_line(code: str) -> str:
    return re.sub(r"\s+", " ", code).replace("( ", "(").replace(" )", ")")


def test_constants_of_the_file_keep_their_names() -> None:
    artefact, _ = compiled("SelfAttention(4, score = near)")
    code = on_one_line(artefact.model_code)
    assert "SelfAttention(16, 4, score_scale=config.scale)" in code
    assert "torch.where(torch.abs(query - key) < 3, scores, scores - self.score_scale)" in code


def test_names_alike_stay_apart() -> None:
    """A constant of the file in the function, a parameter of the block in its argument, an attribute of nn.Module."""
    text = """\
dlspec 1
half = 2
f(s, q, k, h, a) = half * s + a
block Layer(half) { SelfAttention(4, score = f(a = half + 1)) }
model M: (x: [B, T, 16]) -> (y: [B, T, 16]) { x -> Layer(3) -> Layer(7) }
"""
    artefact = compile(Source("apart.dlspec", text))
    code = on_one_line(artefact.model_code)
    assert "SelfAttention(16, 4, score_half=config.half, score_half_2=half)" in code
    assert "scores = self.score_half * scores + (self.score_half_2 + 1)" in code
    model = load_text("apart", artefact.model_code).M()
    model.init_weights(torch.Generator().manual_seed(0))
    assert model(torch.randn(2, 5, 16)).isfinite().all()


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("SelfAttention(4, score = near)", "SelfAttention(4, score = near)"),
        ("SelfAttention(4, score = tilt(slope = scale))", "SelfAttention(4, score = tilt(slope = scale))"),
        (
            "SelfAttention(4, score = tilt(slope = Weight([4])), bias = false)",
            "SelfAttention(4, score = tilt(slope = Weight([4])), bias = false)",
        ),
    ],
)
def test_people_are_shown_a_score_as_a_spec_would_write_it(call: str, shown: str) -> None:
    artefact, _ = compiled(call)
    assert f": {shown}(x)" in graph_text(artefact.graph)


def test_a_learned_argument_learns() -> None:
    _, model = compiled("SelfAttention(4, score = tilt(slope = Weight([4])))")
    assert [name for name, _ in model.named_parameters() if "slope" in name] == ["a.slope"]
    model(torch.randn(2, 6, 16)).square().sum().backward()
    assert (model.a.slope.grad != 0).all()


def messages(call: str) -> list[tuple[str, str]]:
    text = f"{HEADER}odd(x, y) = x + y\nmodel M: (x: [B, T, 16]) -> (y: [B, T, 16]) {{\n  x -> {call}\n}}\n"
    return [(d.code, d.message) for d in check(text) if d.severity == "error"]


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("SelfAttention(4, score = tilt)", "missing-option", "`tilt` needs `slope`"),
        ("SelfAttention(4, score = tilt(slop = 1))", "unknown-option", "`tilt` has no parameter `slop`"),
        ("SelfAttention(4, score = odd)", "wrong-arguments", "a score is computed from s, q, k, h"),
        (
            "SelfAttention(4, score = tilt(slope = Weight([3])))",
            "shape-mismatch",
            "`slope` of `tilt` takes a number, or one for each head: [4]; this is [3]",
        ),
        ("SelfAttention(4, score = 3)", "not-a-value", "`score` of `SelfAttention` takes a value that flows"),
    ],
)
def test_what_is_no_score_is_told(call: str, code: str, message: str) -> None:
    (found,) = messages(call)
    assert found[0] == code
    assert message in found[1]
