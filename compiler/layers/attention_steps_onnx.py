"""An attention whose scores a function of the file changes, as ONNX nodes: in steps, no operator takes a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..scalars import variables
from ..semantics.number import Number, number, product, real, whole
from ..semantics.tensor import Tensor
from .attention_mask_onnx import Mask
from .score import ScoreFunction, own_name

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue
    from .attention import Attention

_ONE = number(1)


class Steps:
    """The nodes of one such attention while they are written."""

    def __init__(
        self,
        layer: Attention,
        g: OnnxBuilder,
        q: tuple[OnnxValue, Tensor],
        k: tuple[OnnxValue, Tensor],
        v: OnnxValue,
        value_width: Number,
        name: str,
        module: str,
    ) -> None:
        self.layer, self.g, self.name, self.module = layer, g, name, module
        self.q, self.k, self.v, self.value_width = q, k, v, value_width
        self.batch, self.queries = q[1].dims[:2]
        self.keys = k[1].dims[1]
        self.mask = Mask(layer, g, q, k, name)

    def written(self, score: ScoreFunction) -> OnnxValue:
        layer, g, name = self.layer, self.g, self.name
        width = layer.width_of_head(self.q[1])
        q = self._heads(self.q[0], self.queries, layer.heads, width, "q")
        k = self._shared(self._heads(self.k[0], self.keys, layer.key_heads(), width, "k"), width, "k")
        v = self._shared(
            self._heads(self.v, self.keys, layer.key_heads(), self.value_width, "v"), self.value_width, "v"
        )
        type_ = Tensor("float", (self.batch, layer.heads, self.queries, self.keys))
        scale = whole(width) ** -0.5 if layer.scale is None else real(layer.scale)
        q = g.op("Mul", [q, g.number(scale)], self._type(self.queries, layer.heads, width), f"{name}.q.scaled")
        across = Tensor("float", (self.batch, layer.heads, width, self.keys))
        k = g.op("Transpose", [k], across, f"{name}.k.across", perm=(0, 1, 3, 2))
        scores = g.op("MatMul", [q, k], type_, f"{name}.scores")
        if layer.softcap is not None:
            cap = g.number(real(layer.softcap))
            scores = g.op("Div", [scores, cap], type_, f"{name}.scores.small")
            scores = g.op("Tanh", [scores], type_, f"{name}.scores.tanh")
            scores = g.op("Mul", [scores, cap], type_, f"{name}.scores.capped")
        scores = self._changed(score, scores, type_)
        bias, seen = self.mask.bias(), self.mask.seen()
        if bias is not None:
            scores = g.op("Add", [scores, bias[0]], type_, f"{name}.scores.biased")
        if seen is not None:
            scores = g.op("Where", [seen[0], scores, g.number(float("-inf"))], type_, f"{name}.scores.seen")
        weights = g.op("Softmax", [scores], type_, f"{name}.weights", axis=-1)
        if seen is not None and layer.may_be_blind(self.q[1]):
            weights = g.op("Where", [seen[0], weights, g.number(0.0)], type_, f"{name}.weights.seen")
        y = g.op("MatMul", [weights, v], self._type(self.queries, layer.heads, self.value_width), f"{name}.summed")
        beside = Tensor("float", (self.batch, self.queries, layer.heads, self.value_width))
        y = g.op("Transpose", [y], beside, f"{name}.beside", perm=(0, 2, 1, 3))
        total = product([layer.heads, self.value_width])
        shape = g.wholes((0, 0, whole(layer.heads) * whole(self.value_width)))
        return g.op("Reshape", [y, shape], self.q[1].with_last(total), f"{name}.attention")

    def _type(self, length: Number, heads: Number, width: Number) -> Tensor:
        return Tensor("float", (self.batch, heads, length, width))

    def _heads(self, x: OnnxValue, length: Number, heads: Number, width: Number, what: str) -> OnnxValue:
        """[B, length, heads * width] -> [B, heads, length, width]"""
        split_type = Tensor("float", (self.batch, length, heads, width))
        shape = self.g.wholes((0, 0, whole(heads), whole(width)))
        split = self.g.op("Reshape", [x, shape], split_type, f"{self.name}.{what}.split")
        type_ = self._type(length, heads, width)
        return self.g.op("Transpose", [split], type_, f"{self.name}.{what}.heads", perm=(0, 2, 1, 3))

    def _shared(self, x: OnnxValue, width: Number, what: str) -> OnnxValue:
        """Keys or values, each as often as queries share it."""
        layer, g = self.layer, self.g
        if not layer.grouped:
            return x
        heads, group = layer.key_heads(), whole(layer.heads) // whole(layer.key_heads())
        single = Tensor("float", (self.batch, heads, _ONE, self.keys, width))
        apart = g.op("Unsqueeze", [x, g.whole(2)], single, f"{self.name}.{what}.apart")
        several = Tensor("float", (self.batch, heads, number(group), self.keys, width))
        spread = g.op("Expand", [apart, g.wholes((1, 1, group, 1, 1))], several, f"{self.name}.{what}.spread")
        shape = g.wholes((0, whole(layer.heads), -1, whole(width)))
        return g.op("Reshape", [spread, shape], self._type(self.keys, layer.heads, width), f"{self.name}.{what}.shared")

    def _changed(self, score: ScoreFunction, scores: OnnxValue, type_: Tensor) -> OnnxValue:
        """The function of the file on the scores."""
        from ..scalars.onnx_nodes import onnx_nodes

        read = variables(score.expression)
        inputs = {"s": (scores, type_)}
        if "q" in read:
            inputs["q"] = self.mask.query_column()
        if "k" in read:
            inputs["k"] = self.mask.key_row()
        one_each = Tensor("float", (self.layer.heads, _ONE, _ONE))
        axes = self.g.wholes((1, 2))
        if "h" in read:
            heads = self.g.floats([float(i) for i in range(whole(self.layer.heads))])
            inputs["h"] = self.g.op("Unsqueeze", [heads, axes], one_each, f"{self.name}.head"), one_each
        given = {label: self.g.side(side) for label, side in score.sides.items()}
        given |= {label: self.g.parameter(f"{self.module}.{own_name(label)}") for label in score.weights}
        for label, value in given.items():
            spread = self.g.op("Unsqueeze", [value, axes], one_each, f"{self.name}.{label}")
            inputs[label] = spread, one_each
        value, _ = onnx_nodes(self.g, score.expression, inputs, f"{self.name}.score")
        return value
