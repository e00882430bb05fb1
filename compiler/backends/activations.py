"""What autograd keeps from the forward pass for the backward pass, in bytes.

A tensor is kept once, whoever asks for it. PyTorch keeps

    Linear                     what comes in
    gelu, silu, elu, ...       what comes in          relu, sigmoid, tanh, softmax   what goes out
    LayerNorm, RMSNorm         what comes in, and two numbers or one for each row
    SelfAttention              what comes in, q, k, v (q and k as rotary has turned them), the sum over v, and one
                               float32 a head and query (the logarithm of the softmax's sum)
    Dropout                    a byte an entry, where it drops
    Embedding                  the numbers that are looked up
    a * b, a / b               both sides             a + b, -a, flatten, split     nothing

With bf16 matrices are multiplied in bfloat16: Linear keeps what comes in, and its weight, as casts of 2 bytes an entry;
norms keep float32. A layer that is not listed counts as keeping what comes in.

The loss needs the most where the backward pass begins: for every number of an output that the model scores, the number
itself, its logarithm of a probability, and two gradients, 4 bytes each. That is cross-entropy's need; others have less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..ir.graph import Apply, Copies, Graph, Node, Pointwise, Region, Residual, Run, RunCopies, Unit, UnitModule, Value
from ..layers.base import Layer
from ..semantics.number import Number
from ..semantics.tensor import Tensor

Precision = Literal["fp32", "tf32", "bf16"]
Size = Callable[[Number], int]

_WIDTHS = {"float": 4, "int": 8, "bool": 1}
_LOSS = 4 + 2 * 4
_VIEWS = frozenset({"flatten", "split", "reshape", "permute", "rearrange", "first", "last"})
_KEEP_OUTPUT = frozenset({"relu", "sigmoid", "tanh", "softmax", "log_softmax"})
_STATISTICS = {"LayerNorm": 2, "RMSNorm": 1}


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory of `count` entries of `width` bytes; views of it are the same object."""

    count: int
    width: int

    @property
    def bytes(self) -> int:
        return self.count * self.width


def kept_bytes(graph: Graph, size: Size, precision: Precision) -> int:
    """The memory of activations where the backward pass begins; `size` gives the value of a dim."""
    walk = _Walk(size, 2 if precision == "bf16" else 4)
    outputs = walk.unit(graph.model, [walk.buffer(value.type) for value in graph.model.inputs])
    floats = [b for b, v in zip(outputs, graph.model.outputs, strict=True) if _tensor(v.type).dtype == "float"]
    walk.keep(*floats)
    return sum(b.bytes for b in walk.kept) + sum(_LOSS * b.count for b in floats)


class _Walk:
    """Runs a graph on buffers and gathers those that are kept. `compute` is the width of what matrices give."""

    def __init__(self, size: Size, compute: int) -> None:
        self.size = size
        self.compute = compute
        self.kept: dict[Buffer, None] = {}
        self.values: dict[Value, Buffer] = {}

    def buffer(self, type_: object, width: int | None = None) -> Buffer:
        tensor = _tensor(type_)
        return Buffer(self.count(tensor.dims), width or _WIDTHS[tensor.dtype])

    def count(self, dims: Iterable[Number]) -> int:
        total = 1
        for dim in dims:
            total *= self.size(dim)
        return total

    def keep(self, *buffers: Buffer) -> None:
        self.kept.update(dict.fromkeys(buffers))

    def unit(self, unit: Unit, inputs: Sequence[Buffer]) -> list[Buffer]:
        outer, self.values = self.values, dict(zip(unit.inputs, inputs, strict=True))
        self.nodes(unit, unit.nodes)
        outputs = [self.values[value] for value in unit.outputs]
        self.values = outer
        return outputs

    def nodes(self, unit: Unit, nodes: Iterable[Node]) -> None:
        for node in nodes:
            outputs = self.node(unit, node, [self.values[value] for value in node.inputs])
            self.values.update(zip(node.outputs, outputs, strict=True))

    def node(self, unit: Unit, node: Node, inputs: list[Buffer]) -> list[Buffer]:
        match node.op:
            case Apply(layer=layer):
                return self.layer(layer, inputs[0], _tensor(node.inputs[0].type), [v.type for v in node.outputs])
            case Pointwise() as op:
                return [self.pointwise(op, inputs, node.output)]
            case Residual(branch=branch, after=after):
                added = self.region(unit, branch, inputs[0])
                total = self.buffer(node.output.type, max(inputs[0].width, added.width))
                return [total if after is None else self.region(unit, after, total)]
            case Run():
                module = unit.module(node.module or "")
                assert isinstance(module, UnitModule)
                return self.unit(module.unit, inputs)
            case RunCopies():
                module = unit.module(node.module or "")
                assert isinstance(module, Copies)
                flowing, *others = inputs
                for copy in module.units:
                    flowing = self.unit(copy, [flowing, *others])[0]
                return [flowing]

    def region(self, unit: Unit, region: Region, entering: Buffer) -> Buffer:
        self.values[region.input] = entering
        self.nodes(unit, region.nodes)
        return self.values[region.output]

    def layer(self, layer: Layer, x: Buffer, x_type: Tensor, types: Sequence[object]) -> list[Buffer]:
        word = layer.word
        if word in _VIEWS:
            return [x] * len(types)
        if word == "Positions":
            return [Buffer(0, 4)]  # rows of the table itself
        out = self.buffer(types[0], x.width if _tensor(types[0]).dtype == "float" and x_type.dtype == "float" else None)
        if word in _KEEP_OUTPUT:
            self.keep(out)
        elif word == "Dropout":
            self.keep(Buffer(x.count, 1))
        elif word in _STATISTICS:
            rows = self.count(x_type.dims[:-1])
            self.keep(self.cast(x, 4), Buffer(rows * _STATISTICS[word], 4))
            out = self.buffer(types[0])
        elif word == "SelfAttention":
            return [self.attention(layer, x, x_type)]
        elif word == "Linear":
            self.matrices(layer, x_type)
            self.keep(self.cast(x, self.compute))
            out = self.buffer(types[0], self.compute)
        else:
            self.keep(x)
        return [out]

    def attention(self, layer: Layer, x: Buffer, x_type: Tensor) -> Buffer:
        shapes = layer.parameters(x_type)
        rows = self.count(x_type.dims[:2])
        self.matrices(layer, x_type)
        query, key = self.size(shapes["q.weight"].dims[0]), self.size(shapes["k.weight"].dims[0])
        for _ in "qkv":  # autocast casts for each matrix anew
            self.keep(self.cast(x, self.compute))
        for width in (query, key, key, query):
            self.keep(Buffer(rows * width, self.compute))
        self.keep(Buffer(rows * self.size(getattr(layer, "heads")), 4))  # noqa: B009  an option of the one class
        return Buffer(x.count, self.compute)

    def matrices(self, layer: Layer, x_type: Tensor) -> None:
        """The casts of a layer's matrices; a bias is not needed again."""
        if self.compute != 4:
            for parameter in layer.parameters(x_type).values():
                if len(parameter.dims) > 1:
                    self.keep(Buffer(self.count(parameter.dims), self.compute))

    def cast(self, x: Buffer, width: int) -> Buffer:
        return x if x.width == width else Buffer(x.count, width)

    def pointwise(self, op: Pointwise, inputs: list[Buffer], output: Value) -> Buffer:
        product_of_two = op.operator in ("*", "/") and len(inputs) == 2
        if product_of_two or op.operator == "^" or (op.operator == "/" and op.left is not None):
            self.keep(*inputs)
        is_float = _tensor(output.type).dtype == "float"
        return self.buffer(output.type, max(b.width for b in inputs) if is_float else None)


def _tensor(type_: object) -> Tensor:
    assert isinstance(type_, Tensor)
    return type_
