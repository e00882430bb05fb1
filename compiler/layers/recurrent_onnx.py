"""The ONNX nodes of RNN, LSTM and GRU: one operator a layer, time first, its weights put into ONNX's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import Number, number, product, whole
from ..semantics.tensor import Tensor

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue
    from .recurrent import Recurrent


def nodes(
    layer: Recurrent, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str
) -> tuple[OnnxValue, ...]:
    """States, last and state of x, [B, T, D]."""
    states_type, last_type, state_type = layer.infer(x_type)
    batch, length, _ = x_type.dims
    ways, hidden = layer.directions(), layer.hidden
    options: dict[str, str | int] = {
        "hidden_size": whole(hidden),
        "direction": "bidirectional" if layer.bidirectional else "forward",
    }
    if layer.word == "GRU":
        options["linear_before_reset"] = 1  # as PyTorch has it
    lengths = None
    if layer.lengths is not None:
        lengths = g.int32(g.side(layer.lengths), layer.lengths.type, f"{name}.lengths")
    flowing_type = Tensor("float", (length, batch, x_type.dims[-1]))
    flowing = g.op("Transpose", [x], flowing_type, f"{name}.time_first", perm=(1, 0, 2))
    by_way = Tensor("float", (length, number(ways), batch, hidden))
    end = Tensor("float", (number(ways), batch, hidden))
    ends: list[tuple[OnnxValue, ...]] = []
    for index in range(layer.depth()):
        place = f"{name}.{index}"
        weights = _weights(layer, g, x_type, index, place, module)
        inputs = [flowing, *weights, lengths, *_start(layer, g, index, place, end)]
        outputs, *after = g.ops(layer.word, inputs, (by_way, *[end] * layer.parts), place, **options)
        ends.append(tuple(after))
        if index < layer.depth() - 1:
            joined = Tensor("float", (length, batch, number(ways), hidden))
            beside = g.op("Transpose", [outputs], joined, f"{place}.beside", perm=(0, 2, 1, 3))
            flowing_type = Tensor("float", (length, batch, layer.width()))
            shape = g.wholes((0, 0, ways * whole(hidden)))
            flowing = g.op("Reshape", [beside, shape], flowing_type, f"{place}.states")
        else:
            first = Tensor("float", (batch, length, number(ways), hidden))
            batch_first = g.op("Transpose", [outputs], first, f"{name}.batch_first", perm=(2, 0, 1, 3))
            flowing = g.op("Reshape", [batch_first, g.wholes((0, 0, ways * whole(hidden)))], states_type, name)
    beside = Tensor("float", (batch, number(ways), hidden))
    last = g.op("Transpose", [ends[-1][0]], beside, f"{name}.last.beside", perm=(1, 0, 2))
    last = g.op("Reshape", [last, g.wholes((0, ways * whole(hidden)))], last_type, f"{name}.last")
    rows = [after[part] for part in range(layer.parts) for after in ends]
    return flowing, last, g.op("Concat", rows, state_type, f"{name}.state", axis=0)


def _weights(
    layer: Recurrent, g: OnnxBuilder, x_type: Tensor, index: int, place: str, module: str
) -> tuple[OnnxValue, OnnxValue, OnnxValue]:
    """W, R and B of a layer: its directions one behind the other, the gates in ONNX's order."""
    hidden, ways = whole(layer.hidden), number(layer.directions())
    shapes = layer.parameters(x_type)
    rows = [gate * hidden + i for gate in layer.onnx_gates for i in range(hidden)]

    def in_order(key: str) -> OnnxValue:
        weight = g.parameter(f"{module}.{key}")
        if layer.gates == 1:
            return weight
        type_ = Tensor("float", shapes[key].dims)
        return g.once(
            ("gates", weight), lambda: g.op("Gather", [weight, g.wholes(rows)], type_, f"{weight.name}.gates")
        )

    def of_both(parts: list[OnnxValue], dims: tuple[Number, ...], what: str) -> OnnxValue:
        single = Tensor("float", (number(1), *dims))
        columns = [g.op("Unsqueeze", [part, g.whole(0)], single, f"{place}.{what}") for part in parts]
        if len(columns) == 1:
            return columns[0]
        return g.op("Concat", columns, Tensor("float", (ways, *dims)), f"{place}.{what}.both", axis=0)

    keys = layer.keys(index)
    first = shapes[f"weight_ih_{keys[0]}"].dims
    second = shapes[f"weight_hh_{keys[0]}"].dims
    both_biases = (product([number(2), first[0]]),)
    biases = [
        g.op(
            "Concat",
            [in_order(f"bias_ih_{key}"), in_order(f"bias_hh_{key}")],
            Tensor("float", both_biases),
            f"{place}.bias",
            axis=0,
        )
        for key in keys
    ]
    return (
        of_both([in_order(f"weight_ih_{key}") for key in keys], first, "weight_ih"),
        of_both([in_order(f"weight_hh_{key}") for key in keys], second, "weight_hh"),
        of_both(biases, both_biases, "biases"),
    )


def _start(layer: Recurrent, g: OnnxBuilder, index: int, place: str, type_: Tensor) -> list[OnnxValue]:
    """The rows of `state` that a layer starts from, if they are given."""
    if layer.state is None:
        return []
    ways = layer.directions()
    found: list[OnnxValue] = []
    for part in range(layer.parts):
        row = (part * layer.depth() + index) * ways
        ends = [g.whole(row), g.whole(row + ways), g.whole(0)]
        found.append(g.op("Slice", [g.side(layer.state), *ends], type_, f"{place}.start"))
    return found
