"""What a layer may ask of the ONNX graph it is written into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from ...layers.side import Side
from ...semantics.number import Number, number
from ...semantics.tensor import DType, Tensor
from .dims import DimNames, free_name
from .parameters import Parameters
from .rotary import tables
from .weights import WeightSource

OnnxValue: TypeAlias = ir.Value

DTYPES: dict[DType, ir.DataType] = {
    "float": ir.DataType.FLOAT,
    "int": ir.DataType.INT64,
    "bool": ir.DataType.BOOL,
}


class OnnxBuilder:
    """A graph while it is being written.

    Every value gets its type from the layer that makes it, so that the file says the shape of each. Names that are
    asked for twice are numbered (`relu`, `relu_2`); a parameter has its checkpoint key and its numbers once, however
    often it is used.
    """

    def __init__(
        self, opset: int, parameters: Parameters, weights: Mapping[str, WeightSource], ports: set[str]
    ) -> None:
        self.graph = ir.Graph([], [], nodes=[], name="main", opset_imports={"": opset})
        self._parameters = parameters
        self._weights = weights
        self._dims = DimNames()
        self._place = ""
        self._node_names: set[str] = set()
        self._value_names = ports | set(parameters.shapes)
        self._made: dict[object, OnnxValue] = {}
        self._inputs: Sequence[OnnxValue] = ()
        self.nothing = ir.Value(name="nothing")
        """What a source gets for the value that comes by the arrow; no node reads it."""

    # --- the ends of the graph ---

    def input(self, name: str, type: Tensor) -> OnnxValue:
        value = ir.Value(name=name, shape=ir.Shape(self._dims.shape(type.dims)), type=_onnx_type(type))
        self.graph.inputs.append(value)
        return value

    def output(self, name: str, value: OnnxValue, type: Tensor) -> None:
        """Make `value` an output called `name`; what is an end of the graph already is copied."""
        if value.producer() is None or value in self.graph.outputs:
            value = self.op("Identity", [value], type, name)
        value.name = name
        self.graph.outputs.append(value)

    # --- side inputs ---

    @contextmanager
    def beside(self, inputs: Sequence[OnnxValue]) -> Iterator[None]:
        """While the layer of a node with these inputs is written, `side` finds them."""
        before, self._inputs = self._inputs, inputs
        try:
            yield
        finally:
            self._inputs = before

    def side(self, side: Side) -> OnnxValue:
        """A side input of the layer that is being written."""
        return self._inputs[side.place]

    # --- nodes ---

    def at(self, place: str) -> None:
        """Nodes written from here on are marked as those of the IR node at `place`."""
        self._place = place

    def op(
        self,
        kind: str,
        inputs: Sequence[OnnxValue | None],
        type: Tensor,
        name: str,
        **attributes: float | int | str | Sequence[int],
    ) -> OnnxValue:
        """Append a node with one output, of `type`; both are called `name`. An input that is left out is None."""
        (value,) = self.ops(kind, inputs, (type,), name, **attributes)
        return value

    def ops(
        self,
        kind: str,
        inputs: Sequence[OnnxValue | None],
        types: Sequence[Tensor],
        name: str,
        **attributes: float | int | str | Sequence[int],
    ) -> tuple[OnnxValue, ...]:
        """Append a node with several outputs, called `name.0`, `name.1`, ..."""
        name = free_name(name, self._node_names)
        outputs = [
            ir.Value(
                name=free_name(name if len(types) == 1 else f"{name}.{i}", self._value_names),
                shape=ir.Shape(self._dims.shape(type.dims)),
                type=_onnx_type(type),
            )
            for i, type in enumerate(types)
        ]
        node = ir.node(
            kind, inputs, attributes, outputs=outputs, name=name, metadata_props={"dlspec.node": self._place}
        )
        self.graph.append(node)
        return tuple(outputs)

    def int32(self, x: OnnxValue, type: Tensor, name: str) -> OnnxValue:
        """Whole numbers in the 32 bits that recurrent operators take lengths in."""
        value = self.op("Cast", [x], type, name, to=ir.DataType.INT32)
        value.type = ir.TensorType(ir.DataType.INT32)
        return value

    def linear(
        self, x: OnnxValue, x_type: Tensor, features: Number, name: str, module: str, *, bias: bool
    ) -> OnnxValue:
        """`x W^T + b` along the last axis, W and b being the parameters `weight` and `bias` of the module."""
        type = x_type.with_last(features)
        key = f"{module}.weight"
        weight = self.parameter(key)
        vector = [self.parameter(f"{module}.bias")] if bias else []
        if x_type.rank == 2:
            return self.op("Gemm", [x, weight, *vector], type, name, transB=1)
        # ONNX Runtime folds the transposition when it loads the file; the matrix keeps its checkpoint's layout.
        matrix = self.once(
            ("transposed", weight.name),
            lambda: self.op("Transpose", [weight], Tensor("float", (x_type.dims[-1], features)), f"{key}.transposed"),
        )
        product = self.op("MatMul", [x, matrix], type, f"{name}.matmul" if bias else name)
        return self.op("Add", [product, *vector], type, name) if bias else product

    def once(self, key: object, make: Callable[[], OnnxValue]) -> OnnxValue:
        """What is the same at several places of the graph: made where it is first asked for by its key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def another_size(self, dim: Number) -> None:
        """From here on an open dim that has been seen stands for another size."""
        self._dims.forget(dim)

    # --- what nodes start from ---

    def parameter(self, key: str) -> OnnxValue:
        """A parameter by its checkpoint key. Raises WeightFault where its numbers are of a kind no graph can hold."""
        key = self._parameters.key(key)
        return self.once(("parameter", key), lambda: self._initializer(self._weights[key].tensor(key)))

    def number(self, value: float) -> OnnxValue:
        """A float that is the same for all entries."""
        return self._constant(np.array(value, np.float32), f"constant.{value:g}")

    def whole(self, value: int) -> OnnxValue:
        """A whole number, as a list of one: what `Slice` takes."""
        return self._constant(np.array([value], np.int64), f"constant.int.{value}")

    def wholes(self, values: Sequence[int]) -> OnnxValue:
        """Several whole numbers, as a list: what `Reshape` and `ReduceMean` take."""
        listed = f".{'.'.join(map(str, values))}" if len(values) <= 8 else ""
        return self._constant(np.array(values, np.int64), f"constant.ints{listed}")

    def floats(self, values: Sequence[float]) -> OnnxValue:
        """Several floats, as a list."""
        return self._constant(np.array(values, np.float32), "constant.floats")

    def scalar(self, value: int) -> OnnxValue:
        """A whole number that is the same for all entries."""
        return self._constant(np.array(value, np.int64), f"constant.scalar.{value}")

    def length(self, x: OnnxValue, x_type: Tensor, axis: int) -> OnnxValue:
        """The length of an axis of `x`, as a list of one."""
        dim = self._dims.dim(x_type.dims[axis])
        if isinstance(dim, int):
            return self.whole(dim)
        return self.once(("length", dim), lambda: self._shape_of(x, axis, axis + 1, f"length.{dim}"))

    def positions(self, x: OnnxValue, x_type: Tensor) -> OnnxValue:
        """int[B, T]: the position of each entry of a sequence `x`, [B, T, ...]."""

        def make() -> OnnxValue:
            end = self.op("Squeeze", [self.length(x, x_type, 1)], Tensor("int", ()), "positions.end")
            ends = [self.scalar(0), end, self.scalar(1)]
            row = self.op("Range", ends, Tensor("int", x_type.dims[1:2]), "positions.row")
            shape = self._shape_of(x, 0, 2, "positions.shape")
            return self.op("Expand", [row, shape], Tensor("int", x_type.dims[:2]), "positions")

        return self.once(("positions", self._dims.shape(x_type.dims[:2])), make)

    def rotary_tables(self, length: int, half: int, base: float) -> tuple[OnnxValue, OnnxValue]:
        """Cosine and sine of a rotary embedding, [length, half] each."""
        key = (length, half, base)
        if ("cos", key) not in self._made:
            for label, table in zip(("cos", "sin"), tables(length, half, base), strict=True):
                name = free_name(f"rotary.{label}", self._value_names)
                self._made[label, key] = self._initializer(ir.Tensor(table, name=name))
        return self._made["cos", key], self._made["sin", key]

    # --- inside ---

    def _shape_of(self, x: OnnxValue, start: int, end: int, name: str) -> OnnxValue:
        return self.op("Shape", [x], Tensor("int", (number(end - start),)), name, start=start, end=end)

    def _constant(self, array: np.ndarray, name: str) -> OnnxValue:
        key = ("constant", array.dtype.name, array.shape, array.tobytes())
        return self.once(key, lambda: self._initializer(ir.Tensor(array, name=free_name(name, self._value_names))))

    def _initializer(self, tensor: ir.TensorProtocol) -> OnnxValue:
        shape = ir.Shape(tensor.shape.numpy())
        value = ir.Value(name=tensor.name, shape=shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.graph.register_initializer(value)
        return value


def _onnx_type(type: Tensor) -> ir.TensorType:
    return ir.TensorType(DTYPES[type.dtype])
