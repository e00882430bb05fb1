"""One layer with its side inputs, outside of any spec: its PyTorch text and its ONNX nodes, run."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.ir.graph import Apply, Graph, LayerModule, Node, Unit, Value
from dlspec.compiler.layers import registry
from dlspec.compiler.layers.base import Layer
from dlspec.compiler.layers.held import Held
from dlspec.compiler.layers.side import Side
from dlspec.compiler.semantics.number import Number, Reference, number, real, spelled
from dlspec.compiler.semantics.tensor import DType, Tensor
from dlspec.grammar.source import Source

SPAN = Source("by_hand.dlspec", "").span(0, 0)
Dim = int | Reference
Values = dict[str, torch.Tensor]


def open_dim(name: str, most: int | None = None) -> Reference:
    return Reference(name, "open", most=None if most is None else number(most))


def type_of(dtype: DType, *dims: Dim) -> Tensor:
    return Tensor(dtype, tuple(dim if isinstance(dim, Reference) else number(dim) for dim in dims))


@dataclass
class PlainCode:
    """A class to write layers into in which every number is spelled out."""

    library_sources: dict[str, str] = field(default_factory=dict)
    exporting: bool = False
    held: tuple[Held, ...] = ()

    def number(self, n: Number) -> str:
        return spelled(n, lambda reference: f"({self.number(reference.target or reference)})", python=True)

    def real(self, n: Number) -> str:
        return repr(real(n))

    def library(self, name: str, source: str) -> str:
        self.library_sources[name] = source
        return name

    def imported(self, name: str, module: str) -> str:
        return name

    def fused(self, layer: object, x: object, part: str = "") -> None:
        return None

    def init_as_made(self) -> str:
        return "init_as_made"

    def init_linear(self) -> str:
        return "init_linear"

    def init_conv(self) -> str:
        return "init_conv"

    def init_recurrent(self) -> str:
        return "init_recurrent"

    def placed_like(self) -> list[str]:
        return ["device=x.device"]

    def init_weight(self, tensor: str) -> list[str]:
        return [f"nn.init.normal_({tensor}, generator=generator)"]

    def init_vector(self, tensor: str) -> list[str]:
        return [f"nn.init.normal_({tensor}, generator=generator)"]


_INITIAL = """\
def init_linear(linear, generator):
    nn.init.normal_(linear.weight, std=0.3, generator=generator)
    if linear.bias is not None:
        nn.init.normal_(linear.bias, generator=generator)


def init_conv(weight, bias, generator):
    nn.init.normal_(weight, std=0.3, generator=generator)
    if bias is not None:
        nn.init.normal_(bias, generator=generator)


def init_recurrent(rnn, generator):
    for weight in rnn.parameters():
        nn.init.normal_(weight, std=0.3, generator=generator)
"""


@dataclass(frozen=True)
class OneLayer:
    """A layer placed on `x`; `sides` are its side inputs by the option that takes them."""

    layer: Layer
    x: Tensor
    sides: dict[str, Side]

    @classmethod
    def make(cls, word: str, x: Tensor, sides: dict[str, Tensor] | None = None, **options: Any) -> OneLayer:
        placed = {name: Side(type_, place) for place, (name, type_) in enumerate((sides or {}).items(), 1)}
        kind = registry.find(word)
        assert kind is not None
        return cls(kind(**options, **placed), x, placed)

    @property
    def types(self) -> tuple[Tensor, ...]:
        return self.layer.infer(self.x)

    def text(self, *, exporting: bool = False) -> str:
        """Its class, with all that it is made of."""
        code = PlainCode(exporting=exporting)
        self.layer.constructor(self.x, code)
        return "\n".join(code.library_sources.values())

    def module(self, *, exporting: bool = False, seed: int = 0) -> nn.Module:
        """A module of which the layer is `m`, with weights from the seed; it takes x, then the side inputs."""
        code = PlainCode(exporting=exporting)
        constructor = self.layer.constructor(self.x, code)
        arguments = ", ".join(["x: Tensor", *(f"{side}: Tensor" for side in self.sides.values())])
        result = "Tensor" if len(self.types) == 1 else f"tuple[{', '.join(['Tensor'] * len(self.types))}]"
        fill = self.layer.initialise("self.m", self.x, code)
        lines = [
            "from __future__ import annotations",
            *code.library_sources.values(),
            _INITIAL,
            "class Whole(nn.Module):",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            f"        self.m = {constructor}",
            f"    def forward(self, {arguments}) -> {result}:",
            f"        return {self.layer.call('self.m', 'x', self.x, code)}",
            "    @torch.no_grad()",
            "    def init_weights(self, generator) -> None:",
            *(f"        {line}" for line in [*fill, "pass"]),
        ]
        scope: dict[str, Any] = {
            "__name__": "one_layer_text",
            "torch": torch,
            "nn": nn,
            "F": F,
            "Tensor": torch.Tensor,
            "math": math,
        }
        text = "\n".join(lines)
        _remember(text)
        exec(compile(text, _file(text), "exec", dont_inherit=True), scope)
        whole = scope["Whole"]()
        whole.init_weights(torch.Generator().manual_seed(seed))
        return whole.eval()

    def graph(self) -> Graph:
        inputs = (Value(self.x, "input"), *(Value(side.type, name) for name, side in self.sides.items()))
        outputs = tuple(map(Value, self.types))
        modules = (LayerModule("m", self.layer, (self.x,), SPAN),) if self.layer.is_module else ()
        names = tuple(f"output_{i}" for i in range(len(outputs)))
        node = Node(Apply(self.layer), inputs, outputs, SPAN, "m" if modules else None)
        return Graph(Unit("model", "M", inputs, outputs, (node,), modules, SPAN), (), outputs=names)

    def session(self, module: nn.Module, folder: Path) -> Callable[[torch.Tensor, Values], list[np.ndarray]]:
        """The layer's ONNX file with the module's weights, checked and ready to run."""
        weights = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
        path = folder / "m.onnx"
        graph = build(self.graph(), weights, metadata={})
        _check_stated_shapes(ir.to_proto(graph))
        save(graph, path)
        assert verify_graph(path) == []
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return partial(_run, session)


def _check_stated_shapes(proto: onnx.ModelProto) -> None:
    """With what we state taken out, inference finds our shapes again wherever it finds any."""
    stated = {v.name: v.type for v in (*proto.graph.value_info, *copy.deepcopy(list(proto.graph.output)))}
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        ours, theirs = stated[value.name].tensor_type, value.type.tensor_type
        assert ours.elem_type == theirs.elem_type, value.name
        if not theirs.HasField("shape"):
            continue
        assert len(ours.shape.dim) == len(theirs.shape.dim), value.name
        for a, b in zip(ours.shape.dim, theirs.shape.dim, strict=True):
            known = b.HasField("dim_value")
            assert not known or (a.HasField("dim_value") and a.dim_value == b.dim_value), value.name


def _run(session: Any, x: torch.Tensor, sides: Values) -> list[np.ndarray]:
    feeds = {"input": x.numpy(), **{name: value.numpy() for name, value in sides.items()}}
    return session.run(None, feeds)


def _file(text: str) -> str:
    return f"<one layer {hash(text)}>"


def _remember(text: str) -> None:
    """TorchScript reads the source of what it compiles."""
    import linecache

    linecache.cache[_file(text)] = (len(text), None, [f"{line}\n" for line in text.split("\n")], _file(text))
