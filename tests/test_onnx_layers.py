"""Every layer's ONNX nodes, run by ONNX Runtime, against its PyTorch text, run by PyTorch."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.rotary import tables
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.ir.graph import Apply, Graph, LayerModule, Node, Unit, Value
from dlspec.compiler.layers import registry
from dlspec.compiler.layers.held import Held
from dlspec.compiler.layers.rotary_torch import ROTARY
from dlspec.compiler.semantics.number import Number, Reference, number, real, spelled
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.grammar.source import Source

SPAN = Source("by_hand.dlspec", "").span(0, 0)
B, H = (Reference(name, "open") for name in "BH")
T = Reference("T", "open", most=number(64))


@dataclass(frozen=True)
class Case:
    """A layer with options on an input of `dims` (its open dims by letter), fed with each of `sizes`."""

    word: str
    options: dict[str, Any]
    dims: tuple[int | Reference, ...]
    sizes: tuple[tuple[int, ...], ...]
    dtype: str = "float"

    @property
    def input(self) -> Tensor:
        return Tensor(self.dtype, tuple(d if isinstance(d, Reference) else number(d) for d in self.dims))  # type: ignore[arg-type]

    def __str__(self) -> str:
        options = "-".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.word}-{options or 'plain'}-rank{len(self.dims)}"


FLAT = ((B, 16), ((1, 16), (5, 16)))
SEQUENCE = ((B, T, 16), ((1, 1, 16), (1, 7, 16), (3, 64, 16)))
PICTURE = ((B, 4, H, 6), ((1, 4, 1, 6), (2, 4, 5, 6)))
SIGNAL = ((B, 4, T), ((1, 4, 2), (3, 4, 33)))
VOLUME = ((B, 4, T, H, 6), ((1, 4, 3, 3, 6), (2, 4, 5, 4, 6)))


def _over(shapes: tuple[Any, ...], word: str, **options: Any) -> list[Case]:
    return [Case(word, options, dims, sizes) for dims, sizes in shapes]


ANY = (FLAT, SEQUENCE, PICTURE)
WIDE = ((B, T, 512), ((2, 64, 512),))
CASES = [
    *(
        case
        for word in ("relu", "elu", "selu", "sigmoid", "tanh", "softplus", "mish", "silu", "hardswish", "hardsigmoid")
        for case in _over(ANY, word)
    ),
    *_over(ANY, "gelu"),
    *_over(ANY, "gelu", approximate="tanh"),
    *_over(ANY, "leaky_relu"),
    *_over(ANY, "leaky_relu", slope=0.2),
    *_over(ANY, "swish"),
    *_over(ANY, "swish", beta=1.5),
    *_over(ANY, "PReLU"),
    *_over(ANY, "Dropout", p=0.1),
    *(
        case
        for word in ("softmax", "log_softmax")
        for options in ({}, {"axis": 1}, {"axis": 0}, {"axis": -2})
        for case in _over(ANY, word, **options)
    ),
    *_over(ANY, "flatten"),
    *_over((FLAT, SEQUENCE), "split", n=2),
    *_over((PICTURE,), "split", n=4),
    *_over((FLAT, SEQUENCE, WIDE), "Linear", features=64),
    *_over((FLAT, SEQUENCE, ((B, T, H, 16), ((1, 1, 1, 16), (2, 3, 5, 16)))), "Linear", features=24, bias=False),
    *_over((FLAT, SEQUENCE, PICTURE, WIDE), "LayerNorm"),
    *_over((FLAT, SEQUENCE), "LayerNorm", eps=0.1, bias=False),
    *_over((FLAT, SEQUENCE, PICTURE, WIDE), "RMSNorm"),
    *_over((FLAT, SEQUENCE), "RMSNorm", eps=1e-5),
    *_over((FLAT, SEQUENCE), "RMSNorm", eps=1e-5, offset=1),
    *(
        Case(word, {"count": 64, "dim": 16}, dims, sizes, "int")
        for word, dims, sizes in (
            ("Embedding", (B,), ((1,), (5,))),
            ("Embedding", (B, T), ((1, 1), (3, 64))),
            ("Embedding", (B, T, 3), ((2, 5, 3),)),
            ("Positions", (B, T), ((1, 1), (3, 7), (1, 64))),
            ("Positions", (B, 12), ((2, 12),)),
        )
    ),
    Case("Positions", {"count": 64, "dim": 16}, *SEQUENCE),
    *_over((SEQUENCE,), "SelfAttention", heads=4, causal=True),
    *_over((SEQUENCE,), "SelfAttention", heads=4),
    *_over((SEQUENCE,), "SelfAttention", heads=4, bias=False, dropout=0.3),
    *_over((SEQUENCE,), "SelfAttention", heads=4, kv_heads=2, causal=True),
    *_over((SEQUENCE,), "SelfAttention", heads=4, kv_heads=1, bias=False),
    *_over((SEQUENCE,), "SelfAttention", heads=4, head_dim=6, causal=True),
    *_over((SEQUENCE,), "SelfAttention", heads=4, kv_heads=2, head_dim=6),
    *_over((SEQUENCE,), "SelfAttention", heads=2, rotary=10000, causal=True),
    *_over((SEQUENCE, ((B, 9, 16), ((2, 9, 16),))), "SelfAttention", heads=4, kv_heads=2, rotary=500),
    *_over((SEQUENCE,), "SelfAttention", heads=4, kv_heads=2, head_dim=6, rotary=10000, causal=True, bias=False),
    *_over((SEQUENCE,), "ClassToken"),
    *_over((SEQUENCE,), "Sinusoid", dim=8),
    *_over((SEQUENCE,), "RelativeBias", heads=4),
    Case("fourier", {"dim": 8}, (B,), ((1,), (5,))),
    *(
        Case(word, {"hidden": 8, "bidirectional": True}, (B, T, 16), ((1, 1, 16), (2, 7, 16)))
        for word in ("RNN", "LSTM", "GRU")
    ),
    *_over((SIGNAL,), "Conv1d", features=8, kernel=3, stride=2, pad="same"),
    *_over((PICTURE,), "Conv2d", features=8, kernel=3, stride=(1, 2), pad=1, groups=2),
    *_over((VOLUME,), "Conv3d", features=8, kernel=(1, 3, 3), pad="same", bias=False),
    *_over((SIGNAL,), "ConvTranspose1d", features=8, kernel=3, stride=2, pad=1, out_pad=1),
    *_over((PICTURE,), "ConvTranspose2d", features=8, kernel=4, stride=2, pad=1),
    *_over((VOLUME,), "ConvTranspose3d", features=8, kernel=2, stride=2, bias=False),
    *(
        case
        for word in ("max_pool", "avg_pool")
        for case in _over((SIGNAL, PICTURE, VOLUME), word, size=3, stride=2, pad=1, ceil=True)
    ),
    *_over((SIGNAL, PICTURE, VOLUME), "adaptive_avg_pool", size=2),
    *_over((PICTURE,), "adaptive_avg_pool", size=1),
    *_over((PICTURE,), "mean", over=(2, 3)),
    *_over((SEQUENCE,), "sum", over=1, keep=True),
    *_over((SIGNAL, PICTURE, VOLUME), "upsample", factor=2, mode="bilinear"),
    *_over((PICTURE,), "upsample", factor=(1, 3)),
    *_over((FLAT, SIGNAL, PICTURE, VOLUME), "BatchNorm"),
    *_over((SIGNAL, PICTURE), "GroupNorm", groups=2),
    *_over((PICTURE,), "InstanceNorm"),
    *_over((SIGNAL, PICTURE), "SqueezeExcite", hidden=3),
    *_over((PICTURE,), "patchify", size=(1, 3)),
    *_over((PICTURE,), "pad", size=1, after=(0, 2), value=0.5),
    *_over((SIGNAL,), "pad", size=2, after=0, over=-1),  # what a causal convolution takes
    *_over((PICTURE,), "DropPath", p=0.1),
    *_over((PICTURE,), "GaussianNoise", std=0.1),
]


@dataclass
class PlainCode:
    """A class to write layers into in which every number is spelled out."""

    library_sources: dict[str, str] = field(default_factory=dict)
    exporting: bool = False
    held: tuple[Held, ...] = ()

    def number(self, n: Number) -> str:
        return spelled(n, lambda reference: f"({self.number(reference.target or reference)})", python=True)

    def word(self, value: object) -> str:
        return repr(value)

    def real(self, n: Number) -> str:
        return repr(real(n))

    def library(self, name: str, source: str) -> str:
        self.library_sources[name] = source
        return name

    def fused(self, layer: object, x: object, part: str = "") -> None:
        return None

    def init_linear(self) -> str:
        return "init_linear"

    def init_weight(self, tensor: str) -> list[str]:
        return []

    def init_vector(self, tensor: str) -> list[str]:
        return []


class Holder:
    """What `self` is where the layer's text is run."""

    m: nn.Module | None = None


def written_module(layer: Any, x: Tensor) -> tuple[Holder, Any]:
    """The layer's PyTorch text, run: what holds its module, and a function of its input."""
    code = PlainCode()
    constructor = layer.constructor(x, code)
    scope: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "Tensor": torch.Tensor, "math": math}
    for source in code.library_sources.values():
        exec("from __future__ import annotations\n" + source, scope)
    holder = Holder()
    if constructor is not None:
        exec(f"made = {constructor}", scope)
        holder.m = scope["made"]
        assert holder.m is not None
        generator = torch.Generator().manual_seed(1)
        for part in holder.m.modules():
            if hasattr(part, "fill"):
                part.fill()  # type: ignore[operator]
        for name, parameter in holder.m.named_parameters():
            gain = name == "weight" and parameter.ndim == 1
            nn.init.normal_(parameter, 1 if gain else 0, 0.25, generator)
        holder.m.eval()
    call = layer.call("self.m" if constructor is not None else "", "x", x, code)
    exec(f"def run(self, x):\n    return {call}", scope)
    return holder, partial(scope["run"], holder)


def one_layer(layer: Any, x: Tensor) -> Graph:
    source, outputs = Value(x, "input"), tuple(map(Value, layer.infer(x)))
    modules = (LayerModule("m", layer, (x,), SPAN),) if layer.is_module else ()
    names = tuple(f"output_{i}" for i in range(len(outputs)))
    node = Node(Apply(layer), (source,), outputs, SPAN, "m" if modules else None)
    return Graph(Unit("model", "M", (source,), outputs, (node,), modules, SPAN), (), outputs=names)


def example_input(case: Case, size: tuple[int, ...], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    if case.dtype == "int":
        return random.integers(0, 64, size)
    # Activations are tried where they bend and where they are flat; attention as it comes from a norm.
    spread = 1 if case.word == "SelfAttention" else 4
    return (spread * random.standard_normal(size)).astype(np.float32)


def far(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a part of the largest entry."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_nodes_compute_what_pytorch_does(case: Case, tmp_path: Any) -> None:
    layer = _layer(case)
    holder, run = written_module(layer, case.input)
    weights = {} if holder.m is None else {f"m.{k}": tensor.numpy() for k, tensor in holder.m.state_dict().items()}
    path = tmp_path / "m.onnx"
    save(build(one_layer(layer, case.input), weights, metadata={}), path)
    assert verify_graph(path) == []
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seed, size in enumerate(case.sizes):
        x = example_input(case, size, seed)
        with torch.no_grad():
            expected = run(torch.from_numpy(x))
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = session.run(None, {"input": x})
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            assert far(np.asarray(ours), theirs.detach().numpy()) <= 1e-6


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stated_shapes_are_those_that_onnx_infers(case: Case) -> None:
    """With what we state taken out, inference finds our shapes again wherever it finds any."""
    layer = _layer(case)
    x = case.input
    held = {**layer.parameters(x), **layer.buffers(x)}
    weights = {f"m.{k}": np.ones([int(d.value) for d in p.dims], np.float32) for k, p in held.items()}  # type: ignore[arg-type]
    proto = ir.to_proto(build(one_layer(layer, x), weights, metadata={}))
    ends = copy.deepcopy(list(proto.graph.output))
    stated = {v.name: v.type for v in (*proto.graph.value_info, *ends)}
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        ours, theirs = stated[value.name].tensor_type, value.type.tensor_type
        assert ours.elem_type == theirs.elem_type
        if not theirs.HasField("shape"):
            continue
        assert len(ours.shape.dim) == len(theirs.shape.dim)
        for a, b in zip(ours.shape.dim, theirs.shape.dim, strict=True):
            assert b.WhichOneof("value") is None or b.dim_param.startswith("unk__") or a == b


@pytest.mark.parametrize(("length", "width", "base"), [(2048, 128, 10000.0), (4096, 64, 500000.0), (300, 6, 100.0)])
def test_rotary_tables_are_those_of_pytorch(length: int, width: int, base: float) -> None:
    """To the last bit, but where the two libraries round a cosine differently."""
    scope: dict[str, Any] = {"torch": torch, "nn": nn, "Tensor": torch.Tensor}
    exec("from __future__ import annotations\n" + ROTARY, scope)
    rotary = scope["Rotary"](length, width, base)
    rotary.fill()
    for ours, theirs in zip(tables(length, width // 2, base), (rotary.cos, rotary.sin), strict=True):
        np.testing.assert_array_max_ulp(ours, theirs.numpy(), maxulp=1)
        assert (ours != theirs.numpy()).mean() < 1e-4


ATTENTION = {"CrossAttention", "attend"}
SHAPES = {"Weight", "concat", "first", "last", "normal", "permute", "rearrange", "reshape", "roll", "sample_normal"}
ELSEWHERE = ATTENTION | SHAPES
"""What takes further values, open dims or a pattern: `test_layers_attention.py` and `test_layers_shapes.py`."""


def test_every_layer_is_here() -> None:
    assert {case.word for case in CASES} == set(registry.words()) - ELSEWHERE


def _layer(case: Case) -> Any:
    found = registry.find(case.word)
    assert found is not None
    return found(**case.options)
