"""`experts` in ONNX: every expert computes all tokens, and what a token was not sent to counts 0.

ONNX has no operator that sends rows to one of several graphs; what is measured here is what is promised, not speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ir.graph import Experts
from ...semantics.number import number, whole
from ...semantics.tensor import Tensor
from .builder import OnnxBuilder, OnnxValue

Expert = Callable[[int, OnnxValue], OnnxValue]


def write_experts(
    g: OnnxBuilder, module: Experts, x: OnnxValue, types: Sequence[Tensor], name: str, path: str, expert: Expert
) -> OnnxValue:
    """Write the router and its experts. `types` are those of what comes in and goes out; `expert` writes one of them,
    [tokens, D] -> [tokens, E]."""
    x_type, y_type = types
    rows_type = module.units[0].inputs[0].type
    assert isinstance(rows_type, Tensor)
    count, top = whole(module.count), whole(module.top)
    rows = rows_type.dims[0]
    picked, share_type = Tensor("float", (rows, number(top))), Tensor("float", (rows, number(1)))
    sent_type = Tensor("float", (rows, y_type.dims[-1]))
    last = g.wholes([-1])
    g.another_size(rows)

    tokens = g.op("Reshape", [x, g.wholes([-1, whole(x_type.dims[-1])])], rows_type, f"{name}.tokens")
    scores_type = rows_type.with_last(number(count))
    scores = g.linear(tokens, rows_type, module.count, f"{name}.router", f"{path}.router", bias=False)
    chances = g.op("Softmax", [scores], scores_type, f"{name}.chances", axis=-1)
    both = (picked, Tensor("int", picked.dims))
    weights, chosen = g.ops("TopK", [chances, g.whole(top)], both, f"{name}.best", axis=-1)
    if top > 1:
        total = g.op("ReduceSum", [weights, last], share_type, f"{name}.total")
        weights = g.op("Div", [weights, total], picked, f"{name}.weights")
    y: OnnxValue | None = None
    for i in range(count):
        is_sent = g.op("Equal", [chosen, g.scalar(i)], Tensor("bool", picked.dims), f"{name}.{i}.sent")
        part = g.op("Where", [is_sent, weights, g.number(0)], picked, f"{name}.{i}.weights")
        share = g.op("ReduceSum", [part, last], share_type, f"{name}.{i}.share")
        given = g.op("Mul", [share, expert(i, tokens)], sent_type, f"{name}.{i}.given")
        y = given if y is None else g.op("Add", [y, given], sent_type, f"{name}.{i}.sum")
    assert y is not None
    lengths = [g.length(x, x_type, axis) for axis in range(x_type.rank - 1)]
    shape = g.op("Concat", [*lengths, g.whole(whole(y_type.dims[-1]))], _list(x_type.rank), f"{name}.shape", axis=0)
    return g.op("Reshape", [y, shape], y_type, name)


def _list(entries: int) -> Tensor:
    return Tensor("int", (number(entries),))
