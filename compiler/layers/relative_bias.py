"""RelativeBias: learned biases of attention scores, by distance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import divides, equal, number, whole
from ..semantics.tensor import Tensor
from . import held
from .attention import shown
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Device, Kept, Part
from .options import Flag, SideInputOrNone, Whole
from .places import distances

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class RelativeBias(Layer):
    """`RelativeBias(heads)` (T5, Raffel et al. 2020): what comes in with a sequence on axis 1 -> [heads, T, S].

    Attention takes it: `score = bias`. A learned number for each head and bucket of distances: near ones have a bucket
    each, far ones share buckets that widen as the logarithm up to `distance`, and all beyond it the last. Half of the
    buckets are for keys that come later, none with `causal`, where all of them share bucket 0.

    `keys = value` gives the keys a sequence of their own, S long; else S is T. With `causal` the last query stands at
    the last key, else the first ones stand together.
    """

    word: ClassVar[str] = "RelativeBias"
    example: ClassVar[str] = "RelativeBias(4)"
    holds_modules: ClassVar[bool] = True

    heads: Whole
    buckets: Whole = 32
    distance: Whole = 128
    causal: Flag = False
    keys: SideInputOrNone = None

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        for type_, option in ((x, None), *([(self.keys.type, "keys")] if self.keys is not None else [])):
            if type_.rank < 2:
                raise ShapeFault(
                    f"RelativeBias counts along axis 1, and {type_} has none",
                    "give it a sequence: [B, T] or [B, T, D]",
                    option,
                )
        step = 2 if self.causal else 4
        if not divides(number(step), self.buckets):
            raise ShapeFault(
                f"RelativeBias needs a multiple of {step} as `buckets`, and {shown(self.buckets)} is none",
                "half of the buckets of a side are for one distance each, the other half for ranges",
                "buckets",
            )
        if whole(self.distance) <= self._one_each():
            raise ShapeFault(
                f"{self._one_each()} distances have a bucket each, and the ranges would end at {shown(self.distance)}",
                "make `distance` larger, or have fewer buckets",
                "distance",
            )
        keys = x if self.keys is None else self.keys.type
        names = (None, *(type_.axes[1] if type_.axes else None for type_ in (x, keys)))
        return (Tensor("float", (self.heads, x.dims[1], keys.dims[1]), names),)

    def _one_each(self) -> int:
        """How many distances of a side have a bucket of their own."""
        return whole(self.buckets) // (2 if self.causal else 4)

    def _square(self, x: Tensor) -> bool:
        return self.keys is None or equal(x.dims[1], self.keys.type.dims[1])

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"weight": Parameter((self.buckets, self.heads))}

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(more=(Part(self.infer(x)[0].dims[1:], 8),))  # the bucket of each pair

    @property
    def is_module(self) -> bool:
        return True

    # --- PyTorch ---

    def constructor(self, x: Tensor, code: Code) -> str:
        name = code.library("RelativeBias", self._definition(x, code))
        numbers = [f"buckets={code.number(self.buckets)}", f"distance={code.number(self.distance)}"]
        return f"{name}({', '.join([code.number(self.heads), *numbers, *held.given(code.held)])})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})" if self.keys is None else f"{module}({x}, {self.keys})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return code.init_weight(f"{module}.weight")

    def _definition(self, x: Tensor, code: Code) -> str:
        keys, inputs = ("x", "x: Tensor") if self.keys is None else ("keys", "x: Tensor, keys: Tensor")
        forward = [f"key = torch.arange({keys}.shape[1], device=x.device)"]
        query = "key"
        if not self._square(x):
            moved = " + keys.shape[1] - x.shape[1]" if self.causal else ""
            forward.append(f"query = torch.arange(x.shape[1], device=x.device){moved}")
            query = "query"
        forward.append(f"ahead = key - {query}[:, None]  # [T, S]")
        if self.causal:
            forward += ["far = (-ahead).clamp(min=0)", "side = self.buckets"]
        else:
            forward += ["far = ahead.abs()", "side = self.buckets // 2"]
        forward += [
            "near = side // 2",
            "widening = torch.log(far.clamp(min=1) / near) / math.log(self.distance / near) * (side - near)",
            "bucket = torch.where(far < near, far, (near + widening.long()).clamp(max=side - 1))",
        ]
        if not self.causal:
            forward.append("bucket = torch.where(ahead > 0, bucket + side, bucket)")
        # Laid out as it is said: after a permute every attention would have to copy it.
        forward.append("return self.weight.T[:, bucket]")
        arguments = ["self", "heads: int", "buckets: int", "distance: int", *held.taken(code.held)]
        lines = [
            "class RelativeBias(nn.Module):",
            '    """Learned biases of attention scores by distance (T5, Raffel et al. 2020): [heads, T, S]"""',
            "",
            f"    def __init__({', '.join(arguments)}) -> None:",
            "        super().__init__()",
            "        self.buckets = buckets",
            "        self.distance = distance",
            "        self.weight = nn.Parameter(torch.empty(buckets, heads))",
            *(f"        {line}" for line in held.kept(code.held)),
            "",
            f"    def forward(self, {inputs}) -> Tensor:",
            *(f"        {line}" for line in forward),
        ]
        return "\n".join(lines) + "\n"

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        query = (x, x_type)
        key = query if self.keys is None else (g.side(self.keys), self.keys.type)
        behind, square = distances(g, query, key, name, end_together=self.causal)
        most = whole(self.distance)
        # From there on all distances are in one bucket, so that a table of them all has an end.
        near = g.op("Clip", [behind, g.scalar(-most), g.scalar(most)], square, f"{name}.near")
        place = g.op("Add", [near, g.scalar(most)], square, f"{name}.place")
        table = g.wholes([self.bucket(distance) for distance in range(-most, most + 1)])
        bucket = g.op("Gather", [table, place], square, f"{name}.bucket")
        of_pairs = Tensor("float", (*square.dims, self.heads))
        biases = g.op("Gather", [g.parameter(f"{module}.weight"), bucket], of_pairs, f"{name}.pairs")
        return (g.op("Transpose", [biases], type_, name, perm=(2, 0, 1)),)

    def bucket(self, behind: int) -> int:
        """The bucket of a query that stands so far behind a key; T5's, which works it out in float32."""
        side = whole(self.buckets) // (1 if self.causal else 2)
        far = max(behind, 0) if self.causal else abs(behind)
        near = side // 2
        found = far
        if far >= near:
            widening = math.log(far / near) / math.log(whole(self.distance) / near) * (side - near)
            # What is whole but for the last digits is whole.
            found = min(near + int(widening + 1e-6), side - 1)
        return found if self.causal or behind >= 0 else found + side
