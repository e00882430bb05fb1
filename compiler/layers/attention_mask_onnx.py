"""What an attention's queries see, and what is added to their scores, as ONNX nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import number, whole
from ..semantics.tensor import DType, Tensor, broadcast
from .alibi import slopes
from .places import distances, places, query_column
from .side import Side

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue
    from .attention import Attention

_ONE = number(1)


class Mask:
    """The mask of one attention while it is written: what several layers say alike is written once."""

    def __init__(
        self, layer: Attention, g: OnnxBuilder, q: tuple[OnnxValue, Tensor], k: tuple[OnnxValue, Tensor], name: str
    ) -> None:
        self.layer, self.g, self.name = layer, g, name
        self.q, self.k = q, k
        self.batch, self.queries = q[1].dims[:2]
        self.keys = k[1].dims[1]

    def written(self) -> list[OnnxValue]:
        """The mask as the operator takes it, or nothing where all keys are seen."""
        seen, bias = self.seen(), self.bias()
        if bias is not None and seen is not None:
            hidden = self.g.number(float("-inf"))
            type_ = _float(broadcast(seen[1], bias[1]))
            return [self.g.op("Where", [seen[0], bias[0], hidden], type_, f"{self.name}.mask")]
        if bias is not None:
            return [bias[0]]
        return [] if seen is None else [self._for_each_query(*seen)]

    def _for_each_query(self, seen: OnnxValue, type_: Tensor) -> OnnxValue:
        """ONNX Runtime takes no mask that one row stands for all queries in."""
        if type_.rank == 2 or type_.dims[2] is not _ONE:
            return seen
        full = Tensor("bool", (self.batch, _ONE, self.queries, self.keys))
        queries = self.g.length(*self.q, 1)

        def make() -> OnnxValue:
            lengths = [self.g.length(*self.q, 0), self.g.whole(1), queries, self.g.length(*self.k, 1)]
            shape = self.g.op("Concat", lengths, Tensor("int", (number(4),)), f"{self.name}.mask.shape", axis=0)
            return self.g.op("Expand", [seen, shape], full, f"{self.name}.mask")

        return self.g.once(("each query", seen, queries), make)

    # --- what is seen ---

    def seen(self) -> tuple[OnnxValue, Tensor] | None:
        layer = self.layer
        parts: list[tuple[OnnxValue, Tensor]] = []
        if layer.causal:
            parts.append(self._no_later())
        if layer.window is not None:
            far = self._far()
            parts.append(self._compare("Less", far, self.g.scalar(whole(layer.window)), far[1], "window"))
        if layer.documents is not None:
            parts.append(self._same_document(layer.documents))
        if layer.mask is not None:
            axes = (1,) if layer.mask.type.rank == 3 else (1, 2)
            parts.append(self._spread(layer.mask, "bool", axes))
        return self._all(parts)

    def _all(self, parts: list[tuple[OnnxValue, Tensor]]) -> tuple[OnnxValue, Tensor] | None:
        if not parts:
            return None
        (seen, type_), *rest = parts
        for part, part_type in rest:
            type_ = broadcast(type_, part_type)
            made = (seen, part, type_)
            seen = self.g.once(
                ("And", seen, part), lambda made=made: self.g.op("And", made[:2], made[2], self._seen_name)
            )
        return seen, type_

    @property
    def _seen_name(self) -> str:
        return f"{self.name}.seen"

    def _no_later(self) -> tuple[OnnxValue, Tensor]:
        distance, type_ = self._distance()
        found = self._compare("GreaterOrEqual", (distance, type_), self.g.scalar(0), type_, "causal")
        prefix = self.layer.prefix
        if prefix is None:
            return found
        key = places(self.g, *self.k, f"{self.name}.key"), Tensor("int", (self.keys,))
        if isinstance(prefix, Side):
            end, end_type = self._spread(prefix, "int", (1, 2, 3))
            before = self._compare("Less", key, end, broadcast(key[1], end_type), "prefix")
        else:
            before = self._compare("Less", key, self.g.scalar(whole(prefix)), key[1], "prefix")
        both = _bool(broadcast(found[1], before[1]))
        value = self.g.once(
            ("Or", found[0], before[0]),
            lambda: self.g.op("Or", [found[0], before[0]], both, f"{self.name}.causal.prefix"),
        )
        return value, both

    def _same_document(self, documents: Side) -> tuple[OnnxValue, Tensor]:
        rows, columns = self._spread(documents, "int", (1, 3)), self._spread(documents, "int", (1, 2))
        return self._compare("Equal", rows, columns[0], broadcast(rows[1], columns[1]), "documents")

    def _compare(
        self, kind: str, a: tuple[OnnxValue, Tensor], b: OnnxValue, type_: Tensor, what: str
    ) -> tuple[OnnxValue, Tensor]:
        type_ = _bool(type_)
        value = self.g.once((kind, a[0], b), lambda: self.g.op(kind, [a[0], b], type_, f"{self.name}.{what}"))
        return value, type_

    def _spread(self, side: Side, dtype: DType, axes: tuple[int, ...]) -> tuple[OnnxValue, Tensor]:
        """A side input with axes of length 1 put in."""
        dims = list(side.type.dims)
        for axis in axes:
            dims.insert(axis, _ONE)
        value, type_ = self.g.side(side), Tensor(dtype, tuple(dims))
        made = self.g.once(
            ("spread", value, axes),
            lambda: self.g.op("Unsqueeze", [value, self.g.wholes(axes)], type_, f"{self.name}.spread"),
        )
        return made, type_

    # --- where queries and keys stand ---

    def _distance(self) -> tuple[OnnxValue, Tensor]:
        return distances(self.g, self.q, self.k, self.name, end_together=self.layer.causal)

    def query_column(self) -> tuple[OnnxValue, Tensor]:
        """Where queries stand, beside the keys of `key_row`: [T, 1]."""
        column, type_ = query_column(self.g, self.q, self.k, self.name, end_together=self.layer.causal)
        return self._as_float(column, type_)

    def key_row(self) -> tuple[OnnxValue, Tensor]:
        """Where keys stand: [S]."""
        return self._as_float(places(self.g, *self.k, f"{self.name}.key"), Tensor("int", (self.keys,)))

    def _as_float(self, x: OnnxValue, type_: Tensor) -> tuple[OnnxValue, Tensor]:
        float_type = _float(type_)
        value = self.g.once(("float", x), lambda: self.g.op("Cast", [x], float_type, f"{self.name}.place.float", to=1))
        return value, float_type

    def _far(self) -> tuple[OnnxValue, Tensor]:
        distance, type_ = self._distance()
        far = self.g.once(("Abs", distance), lambda: self.g.op("Abs", [distance], type_, f"{self.name}.far"))
        return far, type_

    # --- what is added ---

    def bias(self) -> tuple[OnnxValue, Tensor] | None:
        score = self._score(self.layer.score) if isinstance(self.layer.score, Side) else None
        alibi = self._alibi() if self.layer.alibi else None
        if score is None or alibi is None:
            return score or alibi
        type_ = broadcast(score[1], alibi[1])
        return self.g.op("Add", [score[0], alibi[0]], type_, f"{self.name}.bias"), type_

    def _score(self, score: Side) -> tuple[OnnxValue, Tensor]:
        if score.type.rank == 4:
            return self.g.side(score), score.type
        return self._spread(score, "float", (0,))

    def _alibi(self) -> tuple[OnnxValue, Tensor]:
        heads = self.layer.heads
        far, far_type = self._far()
        type_ = Tensor("float", (_ONE, heads, self.queries, self.keys))

        def make() -> OnnxValue:
            falls = self.g.floats([-slope for slope in slopes(whole(heads))])
            slope_type = Tensor("float", (heads, _ONE, _ONE))
            steep = self.g.op("Unsqueeze", [falls, self.g.wholes((1, 2))], slope_type, f"{self.name}.slopes")
            away, _ = self._as_float(far, far_type)
            table_type = Tensor("float", type_.dims[1:])
            table = self.g.op("Mul", [steep, away], table_type, f"{self.name}.alibi.heads")
            return self.g.op("Unsqueeze", [table, self.g.whole(0)], type_, f"{self.name}.alibi")

        return self.g.once(("alibi", far, whole(heads)), make), type_


def _bool(type_: Tensor) -> Tensor:
    return Tensor("bool", type_.dims)


def _float(type_: Tensor) -> Tensor:
    return Tensor("float", type_.dims)
