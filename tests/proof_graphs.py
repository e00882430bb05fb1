"""Models, and ONNX graphs of them written by hand, for the tests of the proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import numpy_helper, parser
from torch import Tensor, nn

from dlspec.runtime.export import prove
from dlspec.runtime.export.proof import Proof, Runner
from dlspec.runtime.metadata import Metadata, write_metadata
from dlspec.runtime.onnx_session import open_onnx
from dlspec.runtime.program import load_text
from dlspec.runtime.settings import Port
from dlspec.runtime.text import CharacterTokenizer

DIGITS = """
<ir_version: 10, opset_import: ["": 23]>
MLP (float[B, 1, 8, 8] image) => (float[B, 10] logits) {
    x = Flatten<axis = 1>(image)
    a = Gemm<transB = 1>(x, fc1.weight, fc1.bias)
    b = Relu(a)
    c = Gemm<transB = 1>(b, fc2.weight, fc2.bias)
    d = Relu(c)
    logits = Gemm<transB = 1>(d, head.weight, head.bias)
}
"""
DIGITS_META = Metadata(
    version="0.1.0",
    spec_sha256="0" * 64,
    inputs=(Port("image", "float", ("B", 1, 8, 8)),),
    outputs=(Port("logits", "float", ("B", 10)),),
    classes={"logits": tuple("0123456789")},
)
# A row sees the columns up to itself; SHIFT moves the border.
TINY = """
<ir_version: 10, opset_import: ["": 23]>
Tiny (int64[B, T] tokens) => (float[B, T, 11] logits)
<int64[1] one = {1}, int64 zero = {0}, int64 step = {1}, int64 shift = {SHIFT}, int64[1] rows = {1},
 int64[1] columns = {0}, float scale = {0.35355338}, float hidden = {-1e30}, int64[1] start = {0}>
{
    word = Gather(embed.weight, tokens)
    length = Shape<start = 1, end = 2>(tokens)
    place = Slice(places.weight, start, length)
    x = Add(word, place)
    q = MatMul(x, q.weight)
    k = MatMul(x, k.weight)
    v = MatMul(x, v.weight)
    turned = Transpose<perm = [0, 2, 1]>(k)
    raw = MatMul(q, turned)
    scores = Mul(raw, scale)
    count = Squeeze(length)
    line = Range(zero, count, step)
    row = Unsqueeze(line, rows)
    column = Unsqueeze(line, columns)
    border = Add(row, shift)
    seen = LessOrEqual(column, border)
    masked = Where(seen, scores, hidden)
    weights = Softmax<axis = -1>(masked)
    y = MatMul(weights, v)
    z = Add(x, y)
    back = Transpose<perm = [1, 0]>(embed.weight)
    logits = MatMul(z, back)
}
"""
TINY_META = Metadata(
    version="0.1.0",
    spec_sha256="0" * 64,
    inputs=(Port("tokens", "int", ("B", "T")),),
    outputs=(Port("logits", "float", ("B", "T", 11)),),
    limits={"T": 40},
    tokenizer=CharacterTokenizer("\n abcdefgh."),
)


class Tiny(nn.Module):
    """One head of attention between an embedding and its transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.places = nn.Embedding(40, 8)
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.places.weight[: tokens.shape[1]]
        y = F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x), is_causal=True)
        return (x + y) @ self.embed.weight.T


def tiny() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Tiny()


def tiny_graph(model: nn.Module, shift: int = 0) -> onnx.ModelProto:
    weights = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    for name in ("q", "k", "v"):
        weights[f"{name}.weight"] = weights[f"{name}.weight"].T.copy()
    return graph(TINY.replace("SHIFT", str(shift)), weights, TINY_META)


def digits_graph(model: nn.Module) -> onnx.ModelProto:
    return graph(DIGITS, {name: weight.detach().numpy() for name, weight in model.named_parameters()}, DIGITS_META)


def graph(text: str, weights: Mapping[str, NDArray], metadata: Metadata) -> onnx.ModelProto:
    # The parser's names have no dots.
    flat = {name: name.replace(".", "_") for name in weights}
    for name in flat:
        text = text.replace(name, flat[name])
    model = parser.parse_model(text)
    for name, weight in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(weight, flat[name]))
    onnx.helper.set_model_props(model, write_metadata(metadata))
    return model


def saved(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(model.SerializeToString())
    return folder / name


def trained_digits() -> nn.Module:
    """The golden model, trained a little: every weight has moved."""
    module = load_text("digits", (Path(__file__).parent / "golden/digits.py").read_text())
    model: Any = module.MLP()
    model.init_weights(torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(5):
        image, label = torch.rand(32, 1, 8, 8, generator=draw), torch.randint(10, (32,), generator=draw)
        F.cross_entropy(model(image), label).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def proof_of(
    model: nn.Module, exported: onnx.ModelProto, metadata: Metadata, folder: Path, *, step: int = 5, **rest: Any
) -> Proof:
    return prove(open_onnx(saved(exported, folder)).run, model, metadata, step=step, **rest)


def shaken_by(make: Callable[[nn.Module], onnx.ModelProto], folder: Path) -> Callable[[nn.Module], Runner]:
    return lambda model: open_onnx(saved(make(model), folder, "shaken.onnx")).run


def flip_one_weight(model: onnx.ModelProto, name: str = "fc2_weight", place: int = 197) -> None:
    tensor = next(one for one in model.graph.initializer if one.name == name)
    weights = numpy_helper.to_array(tensor).copy()
    weights.flat[place] *= -1
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
