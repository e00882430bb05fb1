"""Whole systems of attention and recurrence: PyTorch's own Transformer with the same weights, and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

TRANSFORMER = """\
dlspec 1
vocab = 50
dim   = 24
heads = 4
depth = 2
pad   = 0

default residual(post = LayerNorm)

block Mlp(hidden) { up: Linear(hidden) -> relu -> down: Linear(dim) }

model Transformer: (source: int[B, S], target: int[B, T]) -> (logits: [B, T, vocab]) {
  embed  = tok: Embedding(vocab, dim) * sqrt(dim) + Sinusoid(dim)
  real   = source != pad
  memory = source -> embed -> encoder: repeat(depth) {
    residual { attn: SelfAttention(heads, mask = real) }
    residual { mlp:  Mlp(4 * dim) }
  }
  target -> embed -> decoder: repeat(depth) {
    residual { attn:  SelfAttention(heads, causal = true) }
    residual { cross: CrossAttention(heads, memory = memory, mask = real) }
    residual { mlp:   Mlp(4 * dim) }
  }
  head: Linear(vocab, bias = false, weight = tok.weight)
}
"""

SEQ2SEQ = """\
dlspec 1
model Seq2Seq: (source: int[B, S], lengths: int[B], target: int[B, T]) -> (logits: [B, T, 50], ends: [B, 16]) {
  source -> Embedding(50, 12) -> encoder: LSTM(8, 2, true, lengths = lengths) as memory, ends, _
  narrow = memory -> Linear(8)
  target -> Embedding(50, 12) -> decoder: GRU(8, layers = 2)
  attend(keys = narrow, values = narrow, scale = 1) -> Linear(50) as logits
}
"""

T5 = """\
dlspec 1
model T5: (source: int[B, S], target: int[B, T]) -> (logits: [B, T, 50]) {
  near = source -> bias: RelativeBias(4, buckets = 8, distance = 16)
  past = target -> past_bias: RelativeBias(4, buckets = 8, distance = 16, causal = true)
  real = source != 0
  embed = tok: Embedding(50, 16)
  memory = source -> embed -> repeat(2) {
    residual(pre = RMSNorm) { a: SelfAttention(4, scale = 1, mask = real, score = near) }
  }
  target -> embed -> decoder: repeat(2) {
    residual(pre = RMSNorm) { a: SelfAttention(4, scale = 1, causal = true, score = past) }
    residual(pre = RMSNorm) { c: CrossAttention(4, memory = memory, mask = real) }
  }
  head: Linear(50)
}
"""


def emitted(text: str) -> tuple[Artefact, Any]:
    artefact = compile(Source("system.dlspec", text))
    model = getattr(load_text("system", artefact.model_code), artefact.graph.model.name)()
    model.init_weights(torch.Generator().manual_seed(0))
    return artefact, model.eval()


def sentences(lengths: list[int], longest: int) -> Tensor:
    random = torch.Generator().manual_seed(longest)
    tokens = torch.randint(1, 50, (len(lengths), longest), generator=random)
    return tokens.masked_fill(torch.arange(longest) >= torch.tensor(lengths)[:, None], 0)


def projections(ours: Any, theirs: Any) -> Iterator[tuple[Any, Tensor]]:
    yield theirs.in_proj_weight, torch.cat([getattr(ours, n).weight for n in "qkv"])
    yield theirs.in_proj_bias, torch.cat([getattr(ours, n).bias for n in "qkv"])
    yield theirs.out_proj.weight, ours.o.weight
    yield theirs.out_proj.bias, ours.o.bias


def counterparts(ours: Any, theirs: Any, norms: list[Any]) -> Iterator[tuple[Any, Tensor]]:
    yield from projections(ours.attn, theirs.self_attn)
    for mine, other in ((ours.mlp.up, theirs.linear1), (ours.mlp.down, theirs.linear2)):
        yield other.weight, mine.weight
        yield other.bias, mine.bias
    for i, norm in enumerate(norms, 1):
        yield getattr(theirs, f"norm{i}").weight, norm.weight
        yield getattr(theirs, f"norm{i}").bias, norm.bias


def test_the_transformer_is_pytorchs() -> None:
    _, model = emitted(TRANSFORMER)
    options = {"dropout": 0.0, "batch_first": True}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(24, 4, 96, **options), 2, enable_nested_tensor=False)
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(24, 4, 96, **options), 2)
    with torch.no_grad():
        for ours, theirs in zip(model.encoder, encoder.layers, strict=True):
            for other, mine in counterparts(ours, theirs, [ours.attn_norm, ours.mlp_norm]):
                other.copy_(mine)
        for ours, theirs in zip(model.decoder, decoder.layers, strict=True):
            norms = [ours.attn_norm, ours.cross_norm, ours.mlp_norm]
            for other, mine in [*counterparts(ours, theirs, norms), *projections(ours.cross, theirs.multihead_attn)]:
                other.copy_(mine)
    source, target = sentences([3, 6, 5], 6), sentences([4, 4, 2], 4)
    places = torch.arange(6)[:, None] / 10000 ** (torch.arange(0, 24, 2) / 24)
    table = torch.stack((places.sin(), places.cos()), -1).flatten(1)
    pad = source == 0
    memory = encoder(model.tok(source) * 24**0.5 + table, src_key_padding_mask=pad)
    later = nn.Transformer.generate_square_subsequent_mask(4)
    x = decoder(
        model.tok(target) * 24**0.5 + table[:4], memory, tgt_mask=later, tgt_is_causal=True, memory_key_padding_mask=pad
    )
    expected = x @ model.tok.weight.T
    assert (model(source, target) - expected).abs().max() < 2e-5


@pytest.mark.parametrize("text", [TRANSFORMER, SEQ2SEQ, T5], ids=["transformer", "seq2seq", "t5"])
def test_the_system_runs_alike_in_onnx_runtime_and_torchscript(text: str, tmp_path: Path) -> None:
    artefact, model = emitted(text)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    save(build(artefact.graph, weights, metadata={}), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    plain = getattr(load_text("exported", artefact.export_code), artefact.graph.model.name)()
    plain.load_state_dict(model.state_dict())
    with pytest.warns(DeprecationWarning, match="script"):
        scripted = torch.jit.script(plain.eval())
    for lengths, t in (([3, 6, 5], 4), ([1], 1), ([0, 2], 3)):
        valid = torch.tensor([max(n, 1) for n in lengths])
        feeds = {
            "source": sentences(lengths, max(lengths)),
            "lengths": valid,
            "target": sentences([t] * len(lengths), t),
        }
        feeds = {port.name: feeds[port.name] for port in session.get_inputs()}
        with torch.no_grad():
            expected = model(*feeds.values())
            by_script = scripted(*feeds.values())
        found = session.run(None, {name: value.numpy() for name, value in feeds.items()})
        pairs = [(expected, by_script)] if isinstance(expected, Tensor) else list(zip(expected, by_script, strict=True))
        for ours, (theirs, script) in zip(found, pairs, strict=True):
            assert np.isfinite(np.asarray(ours)).all()
            assert np.abs(np.asarray(ours) - theirs.numpy()).max() < 2e-5
            assert torch.allclose(script, theirs, atol=1e-5)
