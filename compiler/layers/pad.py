"""pad: entries put around what comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, is_whole, number, real, whole, written
from ..semantics.tensor import Tensor
from .axes import find_axes
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept
from .lengths import shifted
from .options import AxesOrNone, PerAxisOrZero, PerAxisOrZeroOrNone, Real
from .sliding import per_axis

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Pad(Layer):
    """`pad(size, after = size, over = [H, W], value = 0)`: `size` entries before an axis and `after` behind it.

    Both are numbers, or lists with one an axis of `over`: `pad(1)`, `pad([1, 2])`, and `pad(2, after = 0, over = T)`,
    what a causal convolution takes. `over` names axes by their dims or positions; left out it is all axes behind the
    channels, for [B, C, H, W] and [B, C, D, H, W].
    """

    word: ClassVar[str] = "pad"
    example: ClassVar[str] = "pad([1, 2], after = 0)"
    example_input: ClassVar[str] = "[B, 8, H, W]"

    size: PerAxisOrZero
    after: PerAxisOrZeroOrNone = None
    over: AxesOrNone = None
    value: Real = 0

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.dtype == "bool":
            raise ShapeFault(f"pad takes numbers, and {x} comes in", "pad what the truth values are made from")
        if x.dtype == "int" and not is_whole(self.value):
            raise ShapeFault(f"whole numbers come in, and `value` is none: {x}", "write a whole number", "value")
        for axis, (before, after) in self._pads(x).items():
            x = x.with_dim(axis, shifted(x.dims[axis], whole(before) + whole(after)))
        return (x,)

    def _pads(self, x: Tensor) -> dict[int, tuple[Number, Number]]:
        """What is put before and behind each axis."""
        if self.over is not None:
            axes = find_axes(self.word, self.over, x)
        elif x.rank in (4, 5):
            axes = tuple(range(2, x.rank))
        else:
            raise ShapeFault(
                f"pad needs to know which axes of {x} are meant",
                "name them with `over`: `over = -1` is the last; [B, C, H, W] and [B, C, D, H, W] can do without",
            )
        if len(axes) == 1 and self.after is None and isinstance(self.size, tuple) and len(self.size) == 2:
            start, end = map(written, self.size)
            over = f", over = {self.over[0]}" if self.over else ""
            raise ShapeFault(
                f"`size` lists {start} and {end}, and pad acts on 1 axis",
                f"the two ends of an axis are `size` and `after`: write `pad({start}, after = {end}{over})`",
                "size",
            )
        before = per_axis(self.word, "size", self.size, len(axes))
        after = before if self.after is None else per_axis(self.word, "after", self.after, len(axes))
        return dict(zip(axes, zip(before, after, strict=True), strict=True))

    def keeps_places(self, x: Tensor) -> bool:
        return all(axis > 1 for axis in self._pads(x))

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        pads = self._pads(x_type)
        nothing = (number(0), number(0))
        # PyTorch lists the last axis first.
        listed = [n for axis in range(x_type.rank - 1, min(pads) - 1, -1) for n in pads.get(axis, nothing)]
        value = "" if self.value.value == 0 else f", value={code.real(self.value)}"
        return f"F.pad({x}, ({', '.join(map(code.number, listed))}){value})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        pads = self._pads(x_type)
        ends = [whole(pads[axis][end]) for end in (0, 1) for axis in pads]
        value = g.number(real(self.value)) if x_type.dtype == "float" else g.scalar(whole(self.value))
        (type_,) = self.infer(x_type)
        # Without its axes ONNX Runtime 1.31 takes a Pad into the pooling behind it, where -inf is put around for a
        # maximum, and a mean leaves out what is put around.
        return (g.op("Pad", [x, g.wholes(ends), value, g.wholes(list(pads))], type_, name),)
