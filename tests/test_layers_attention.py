"""Attention with every option: the emitted class against attention written out here in float64, and ONNX against it."""

from __future__ import annotations

import copy
import itertools
import math
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from one_layer import OneLayer, open_dim, type_of
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.layers import registry
from dlspec.compiler.layers.base import ShapeFault
from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

B = open_dim("B")
T, S = open_dim("T", 32), open_dim("S", 32)
WIDTH, MEMORY = 16, 24


# --- attention, written out ------------------------------------------------------------------------------------


def turned(x: Tensor, base: float) -> Tensor:
    """Rotary, pair by pair: entries i and i + half of [B, heads, T, head_dim] turn by position * base^(-i / half)."""
    half = x.shape[-1] // 2
    out = x.clone()
    for position, i in itertools.product(range(x.shape[2]), range(half)):
        angle = position * base ** (-i / half)
        a, b = x[:, :, position, i], x[:, :, position, i + half]
        out[:, :, position, i] = a * math.cos(angle) - b * math.sin(angle)
        out[:, :, position, i + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


def published_slopes(heads: int) -> list[float]:
    """As in the ALiBi paper's code."""

    def of_power(n: int) -> list[float]:
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    if math.log2(heads).is_integer():
        return of_power(heads)
    nearest = 2 ** math.floor(math.log2(heads))
    return of_power(nearest) + published_slopes(2 * nearest)[0::2][: heads - nearest]


def written_out(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any], sides: dict[str, Tensor]) -> Tensor:
    """One query at a time, over the keys that it sees. q [B, heads, T, D], k and v [B, kv_heads, S, ...]."""
    batch, heads, queries, width = q.shape
    keys, group = k.shape[2], heads // k.shape[1]
    if options.get("rotary"):
        q, k = turned(q, options["rotary"]), turned(k, options["rotary"])
    out = torch.zeros(batch, heads, queries, v.shape[-1], dtype=q.dtype)
    slopes = published_slopes(heads)
    shift = keys - queries if options.get("causal") else 0
    for b, h, t in itertools.product(range(batch), range(heads), range(queries)):
        place, scores, values = t + shift, [], []
        for s in range(keys):
            prefix = int(sides["prefix"][b]) if "prefix" in sides else options.get("prefix", 0)
            hidden = [
                options.get("causal") and s > place and s >= prefix,
                "window" in options and abs(place - s) >= options["window"],
                "documents" in sides and sides["documents"][b, t] != sides["documents"][b, s],
                "mask" in sides and not (sides["mask"][b, s] if sides["mask"].ndim == 2 else sides["mask"][b, t, s]),
            ]
            if any(hidden):
                continue
            score = (q[b, h, t] @ k[b, h // group, s]) * options.get("scale", width**-0.5)
            if "softcap" in options:
                score = options["softcap"] * torch.tanh(score / options["softcap"])
            if "score" in sides:
                added = sides["score"]
                score = score + (added[h, t, s] if added.ndim == 3 else added[b, h, t, s])
            if options.get("alibi"):
                score = score - slopes[h] * abs(place - s)
            scores.append(score)
            values.append(v[b, h // group, s])
        if scores:
            out[b, h, t] = torch.stack(scores).softmax(0) @ torch.stack(values)
    return out


def heads_of(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def reference(word: str, module: Any, x: Tensor, options: dict[str, Any], sides: dict[str, Tensor]) -> Tensor:
    m, heads = module.m, options["heads"]
    key_heads = options.get("kv_heads", heads)
    if word == "attend":
        q, k, v = x, sides["keys"], sides["values"]
    else:
        memory = sides.get("memory", x)
        q, k, v = m.q(x), m.k(memory), m.v(memory)
    q, k, v = heads_of(q, heads), heads_of(k, key_heads), heads_of(v, key_heads)
    if "qk_norm" in options:
        q, k = normed(q, m.q_norm), normed(k, m.k_norm)
    y = written_out(q, k, v, options, sides).transpose(1, 2).flatten(2)
    return y if word == "attend" else m.o(y)


def normed(x: Tensor, norm: Any) -> Tensor:
    if type(norm) is nn.RMSNorm:
        assert norm.eps is not None
        return x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


# --- cases -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    word: str
    options: dict[str, Any]
    given: tuple[str, ...] = ()
    """Side inputs besides the sequences: `mask`, `mask3`, `prefix`, `documents`, `score`, `score4`."""
    lengths: tuple[tuple[int, int], ...] = field(default=((5, 7), (7, 5), (1, 1), (6, 6)))

    def __str__(self) -> str:
        options = "-".join(f"{name}={value}" for name, value in self.options.items())
        return "-".join([self.word, options, *self.given])

    @property
    def alone(self) -> bool:
        return self.word == "SelfAttention"

    def layer(self) -> OneLayer:
        keys = T if self.alone or "documents" in self.given else S
        heads = self.options["heads"]
        types = {
            "mask": type_of("bool", B, keys),
            "mask3": type_of("bool", B, T, keys),
            "prefix": type_of("int", B),
            "documents": type_of("int", B, T),
            "score": type_of("float", heads, T, keys),
            "score4": type_of("float", B, heads, T, keys),
        }
        sides = {}
        if self.word == "CrossAttention":
            sides["memory"] = type_of("float", B, keys, MEMORY)
        if self.word == "attend":
            key_heads = self.options.get("kv_heads", heads)
            sides["keys"] = type_of("float", B, keys, WIDTH // heads * key_heads)
            sides["values"] = type_of("float", B, keys, 3 * key_heads)
        sides |= {name.rstrip("34"): types[name] for name in self.given}
        options = dict(self.options)
        if "qk_norm" in options:
            kind = registry.find(options["qk_norm"])
            assert kind is not None
            options["qk_norm"] = kind()
        return OneLayer.make(self.word, type_of("float", B, T, WIDTH), sides, **options)

    def sizes(self) -> list[tuple[int, int]]:
        if self.alone or "documents" in self.given:
            return [(t, t) for t, _ in self.lengths]
        return list(self.lengths)

    def tensors(self, layer: OneLayer, t: int, s: int, dtype: torch.dtype) -> tuple[Tensor, dict[str, Tensor]]:
        random = torch.Generator().manual_seed(17 * t + s)
        batch, sides = 3, {}
        for name, side in layer.sides.items():
            shape = [{"B": batch, "T": t, "S": s}.get(str(getattr(d, "name", "")), d.value) for d in side.type.dims]
            shape = [int(n) for n in shape]  # type: ignore[arg-type]
            if name == "mask":
                sides[name] = torch.rand(shape, generator=random) > 0.4
                sides[name][0] = False  # an example that sees nothing
            elif name in ("prefix", "documents"):
                sides[name] = torch.randint(0, 3, shape, generator=random)
            else:
                sides[name] = torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)
        x = torch.randn(batch, t, WIDTH, generator=random, dtype=torch.float64).to(dtype)
        return x, sides


SINGLE: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"heads": 4}, ()),
    ({"heads": 4, "kv_heads": 2}, ()),
    ({"heads": 4, "causal": True}, ()),
    ({"heads": 4, "window": 2}, ()),
    ({"heads": 4, "causal": True, "window": 3}, ()),
    ({"heads": 4, "causal": True, "prefix": 2}, ()),
    ({"heads": 4, "causal": True}, ("prefix",)),
    ({"heads": 4, "causal": True, "window": 2}, ("prefix",)),
    ({"heads": 4}, ("documents",)),
    ({"heads": 4, "rotary": 100}, ()),
    ({"heads": 4, "alibi": True}, ()),
    ({"heads": 4, "alibi": True, "causal": True}, ("mask",)),
    ({"heads": 4, "softcap": 0.5}, ()),
    ({"heads": 4, "softcap": 0.5, "causal": True, "kv_heads": 1}, ()),
    ({"heads": 4, "scale": 1}, ()),
    ({"heads": 4}, ("score",)),
    ({"heads": 4, "causal": True}, ("score4",)),
    ({"heads": 4}, ("mask",)),
    ({"heads": 4}, ("mask3",)),
    ({"heads": 4, "causal": True}, ("mask",)),
    ({"heads": 4, "softcap": 2, "alibi": True, "dropout": 0.3}, ("mask3",)),
    ({"heads": 2, "kv_heads": 1, "causal": True, "window": 3, "rotary": 10, "alibi": True, "softcap": 3,
      "scale": 0.3}, ("documents", "score4", "mask", "prefix")),
    ({"heads": 2, "kv_heads": 1, "causal": True, "window": 3, "rotary": 10, "alibi": True,
      "scale": 0.3}, ("documents", "score", "mask3", "prefix")),
]  # fmt: skip
PROJECTED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"heads": 3, "head_dim": 6, "alibi": True}, ()),
    ({"heads": 6, "kv_heads": 3, "head_dim": 4, "bias": False, "rotary": 100, "softcap": 1}, ()),
    ({"heads": 4, "qk_norm": "RMSNorm", "rotary": 100}, ()),
    ({"heads": 4, "kv_heads": 2, "qk_norm": "LayerNorm", "bias": False}, ("mask",)),
]
CASES = [
    *(Case(word, *chosen) for word in ("SelfAttention", "CrossAttention", "attend") for chosen in SINGLE),
    *(Case(word, *chosen) for word in ("SelfAttention", "CrossAttention") for chosen in PROJECTED),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_class_computes_attention_written_out(case: Case) -> None:
    layer = case.layer()
    module = layer.module().double()
    for t, s in case.sizes():
        x, sides = case.tensors(layer, t, s, torch.float64)
        x.requires_grad_()
        found = module(x, *sides.values())
        expected = reference(case.word, module, x, case.options, sides)
        sizes = Sizes({"B": 3, "T": t, "S": s})
        assert tuple(found.shape) == tuple(map(sizes.of, layer.types[0].dims))
        # The tables of angles are float32.
        assert (found - expected).abs().max() < (1e-5 if "rotary" in case.options or "alibi" in case.options else 1e-12)
        (found.square().sum()).backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()
        gradients = [p.grad for p in module.parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients)
        module.zero_grad()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_onnx_nodes_compute_what_the_class_does(case: Case, tmp_path: Path) -> None:
    layer = case.layer()
    module = layer.module()
    run = layer.session(module, tmp_path)
    for t, s in case.sizes():
        x, sides = case.tensors(layer, t, s, torch.float32)
        with torch.no_grad():
            expected = module(x, *sides.values())
        (found,) = run(x, sides)
        assert found.shape == tuple(expected.shape)
        assert (torch.from_numpy(found) - expected).abs().max() < 5e-6 * max(1.0, expected.abs().max().item())


# --- what the class is made of ---------------------------------------------------------------------------------


def text(word: str, **options: Any) -> str:
    given = options.pop("given", ())
    return Case(word, {"heads": 4, **options}, given).layer().text()


def test_pytorchs_own_attention_is_called_where_it_can_say_the_options() -> None:
    plain = text("SelfAttention", causal=True)
    assert "y = F.scaled_dot_product_attention(q, k, v, is_causal=True)" in plain
    assert "mask" not in plain
    assert "F.scaled_dot_product_attention(q, k, v)" in text("SelfAttention")
    assert "attn_mask=seen)" in text("SelfAttention", window=2)
    assert "is_causal" not in text("CrossAttention", causal=True)
    grouped = text("SelfAttention", kv_heads=2, scale=0.5, given=("score",))
    assert "attn_mask=score.type_as(q), scale=self.scale, enable_gqa=True" in grouped
    assert "scaled_dot_product_attention" not in text("SelfAttention", softcap=30)


def test_nothing_is_made_that_no_option_asks_for() -> None:
    plain = text("SelfAttention")
    for word in ("arange", "distance", "seen", "dropout", "rotary", "repeat", "kv_heads"):
        assert word not in plain
    assert "may" not in plain
    # A causal mask leaves each query itself to see, so that there is no softmax over nothing.
    assert "softmax(-1).masked_fill" not in text("SelfAttention", causal=True, softcap=3)
    assert "softmax(-1).masked_fill" in text("SelfAttention", softcap=3, given=("mask",))
    assert "softmax(-1).masked_fill" in text("CrossAttention", softcap=3, causal=True)


MANY = [case for case in CASES if case.word == "SelfAttention" or len(case.given) > 1]


@pytest.mark.slow
@pytest.mark.parametrize("case", MANY, ids=str)
def test_the_class_is_compiled_whole_and_scripted(case: Case) -> None:
    layer = case.layer()
    module, scripted = layer.module(), layer.module(exporting=True)
    t, s = case.sizes()[0]
    x, sides = case.tensors(layer, t, s, torch.float32)
    expected = module(x, *sides.values())
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(x, *sides.values()), expected, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(scripted)
    assert list(scripted.state_dict()) == list(module.state_dict())
    assert torch.allclose(script(x, *sides.values()), expected, atol=1e-6)


@pytest.mark.parametrize("case", MANY, ids=str)
def test_the_class_works_in_bfloat16_and_without_memory(case: Case) -> None:
    layer = case.layer()
    module = layer.module()
    t, s = case.sizes()[0]
    x, sides = case.tensors(layer, t, s, torch.float32)
    half = copy.deepcopy(module).bfloat16()
    lower = {name: value.bfloat16() if value.is_floating_point() else value for name, value in sides.items()}
    y = half(x.bfloat16(), *lower.values())
    expected = module(x, *sides.values())
    assert y.dtype == torch.bfloat16
    assert (y - expected).abs().max() < 0.06 * max(1.0, expected.abs().max().item())
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x, *sides.values())
    assert (y - expected).abs().max() < 0.06 * max(1.0, expected.abs().max().item())
    with torch.device("meta"):
        shapeless = layer.module()
    meta = {name: value.to("meta") for name, value in sides.items()}
    assert shapeless(x.to("meta"), *meta.values()).shape == expected.shape


@pytest.mark.parametrize("options", [{}, {"softcap": 3}], ids=str)
def test_dropout_acts_in_training_only(options: dict[str, Any]) -> None:
    case = Case("SelfAttention", {"heads": 4, "dropout": 0.5, **options})
    layer = case.layer()
    module = layer.module()
    x, _ = case.tensors(layer, 6, 6, torch.float32)
    assert torch.equal(module(x), module(x))
    module.train()
    assert not torch.equal(module(x), module(x))
    assert "dropout" not in layer.text(exporting=True)


@pytest.mark.parametrize("word", ["SelfAttention", "CrossAttention", "attend"])
def test_the_cost_is_what_pytorch_counts(word: str) -> None:
    for options in ({"heads": 4}, {"heads": 4, "kv_heads": 2}):
        layer = Case(word, options, ("mask",)).layer()
        x, sides = Case(word, options, ("mask",)).tensors(layer, 5, 5 if word == "SelfAttention" else 7, torch.float32)
        flops = layer.layer.flops(layer.x)
        assert flops is not None
        module = layer.module()
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            module(x, *sides.values())
        sizes = Sizes({"B": 3, "T": 5, "S": 7})
        assert sizes.of(flops) == counter.get_total_flops()


def test_layers_with_one_mask_write_it_once(tmp_path: Path) -> None:
    text = """\
dlspec 1
model M: (x: [B, T, 16], seen: bool[B, T]) -> (y: [B, T, 16]) {
  x -> repeat(3) { SelfAttention(4, causal = true, mask = seen) }
}
"""
    artefact = compile(Source("m.dlspec", text))
    model = load_text("m", artefact.model_code).M()
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    graph = build(artefact.graph, weights, metadata={}).graph
    kinds = Counter(node.op_type for node in graph)
    assert kinds["Attention"] == 3
    assert (kinds["Range"], kinds["GreaterOrEqual"], kinds["And"], kinds["Expand"]) == (1, 1, 1, 0)


# --- what does not fit -----------------------------------------------------------------------------------------

X = type_of("float", B, T, WIDTH)
UNBOUNDED = open_dim("N")


@pytest.mark.parametrize(
    ("word", "x", "sides", "options", "message", "help", "option"),
    [
        ("SelfAttention", type_of("int", B, T), {}, {}, "SelfAttention takes [B, T, D], and int[B, T", "vectors", None),
        ("SelfAttention", X, {}, {"heads": 3}, "16 does not divide into 3 heads", "`head_dim`", "heads"),
        ("SelfAttention", X, {}, {"kv_heads": 3}, "4 heads do not share 3 key and value heads", "multiple", "kv_heads"),
        ("SelfAttention", X, {}, {"prefix": 3}, "this attention is not causal", "`causal = true`", "prefix"),
        ("SelfAttention", X, {}, {"head_dim": 3, "rotary": 10}, "a head is 3 wide", "even", "rotary"),
        (
            "CrossAttention",
            X,
            {"memory": type_of("float", B, UNBOUNDED, 8)},
            {"rotary": 10},
            "N may be any length",
            "`N <= 2048`",
            "rotary",
        ),
        (
            "SelfAttention",
            X,
            {"mask": type_of("bool", B, S)},
            {},
            "`mask` takes true where a key may be seen: bool[B, T] or bool[B, T, T]; this is bool[B, S]",
            "`tokens != pad`",
            "mask",
        ),
        (
            "CrossAttention",
            X,
            {"memory": type_of("float", B, S, 8), "mask": type_of("float", B, S)},
            {},
            "bool[B, S] or bool[B, T, S]; this is [B, S]",
            "`tokens != pad`",
            "mask",
        ),
        ("SelfAttention", X, {"prefix": type_of("int", B, T)}, {"causal": True}, "this is int[B, T]", "row", "prefix"),
        ("SelfAttention", X, {"documents": type_of("bool", B, T)}, {}, "int[B, T]; this is bool", "whole", "documents"),
        (
            "CrossAttention",
            X,
            {"memory": type_of("float", B, S, 8), "documents": type_of("int", B, T)},
            {},
            "there are T queries and S keys",
            "`mask`",
            "documents",
        ),
        (
            "SelfAttention",
            X,
            {"score": type_of("float", 3, T, T)},
            {},
            "[4, T, T], or one such table for each example; this is [3, T, T]",
            "4",
            "score",
        ),
        ("CrossAttention", X, {"memory": type_of("float", B, 8)}, {}, "and [B, 8] is the memory", "vectors", "memory"),
        ("CrossAttention", X, {"memory": type_of("float", 2, S, 8)}, {}, "for each of B, and", "first", "memory"),
        (
            "attend",
            X,
            {"keys": type_of("float", B, S, 12), "values": type_of("float", B, S, 8)},
            {},
            "a head of the queries is 16 / 4 (4) wide, and one of the keys 12 / 4 (3)",
            "as wide",
            "keys",
        ),
        (
            "attend",
            X,
            {"keys": type_of("float", B, S, 16), "values": type_of("float", B, T, 8)},
            {},
            "a value for each key",
            "one length",
            "values",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    word: str, x: Any, sides: Any, options: Any, message: str, help: str, option: str | None
) -> None:
    layer = OneLayer.make(word, x, sides, **{"heads": 4, **options})
    with pytest.raises(ShapeFault) as fault:
        layer.layer.infer(x)
    assert message in fault.value.message
    assert help in fault.value.help
    assert fault.value.option == option


def test_attend_has_no_options_of_matrices() -> None:
    kind = registry.find("attend")
    assert kind is not None
    assert not {"bias", "head_dim", "qk_norm"} & set(kind.options)
