"""roll: entries moved along an axis, those that leave it entering at the other end."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import number, operation, whole
from ..semantics.tensor import Tensor
from .axes import find_axis
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept
from .options import Axes, Shifts

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Roll(Layer):
    """`roll(n, over = T)`: entries moved on by `n`, or back where `n` is negative; what leaves enters at the other end.

    `over` is an axis or a list of axes, `n` one number for all of them or one for each: `roll(-3, over = [H, W])`.
    """

    word: ClassVar[str] = "roll"
    example: ClassVar[str] = "roll(-3, over = 1)"

    n: Shifts
    over: Axes

    def moves(self, x: Tensor) -> list[tuple[int, int]]:
        """Pairs of axis and shift, in the order in which they are written."""
        axes = [find_axis(self.word, axis, x, "over") for axis in self.over]
        if len(set(axes)) < len(axes):
            raise ShapeFault(f"roll names an axis of {x} twice", "name each axis once", "over")
        shifts = [whole(shift) for shift in self.n]
        if len(shifts) not in (1, len(axes)):
            raise ShapeFault(
                f"roll has {len(shifts)} shifts for {len(axes)} axes", "give one for all axes, or one for each", "n"
            )
        return list(zip(axes, shifts * len(axes) if len(shifts) == 1 else shifts, strict=True))

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        self.moves(x)
        return (x,)

    def idle(self) -> bool:
        return all(shift.value == 0 for shift in self.n)

    def keeps_places(self, x: Tensor) -> bool:
        return all(axis > 1 for axis, _ in self.moves(x))

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        axes = [axis for axis, _ in self.moves(x_type)]
        texts = [code.number(shift) for shift in self.n]
        texts = texts * len(axes) if len(texts) == 1 else texts
        if len(axes) == 1:
            return f"torch.roll({x}, {texts[0]}, {axes[0]})"
        return f"torch.roll({x}, ({', '.join(texts)}), ({', '.join(map(str, axes))}))"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        for axis, shift in self.moves(x_type):
            x = self._rolled(g, x, x_type, axis, shift, f"{name}.axis{axis}" if len(self.over) > 1 else name)
        return (x,)

    def _rolled(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, axis: int, shift: int, name: str) -> OnnxValue:
        """The two parts that the last `shift` entries make of an axis, in the other order."""
        length = x_type.dims[axis]
        vector = Tensor("int", (number(1),))
        if length.value is not None:
            tail = number(shift % whole(length))
            cut = g.whole(whole(length) - whole(tail))
        else:
            tail = operation("%", number(shift), length)
            moved = g.op("Mod", [g.whole(shift), g.length(x, x_type, axis)], vector, f"{name}.moved")
            cut = g.op("Sub", [g.length(x, x_type, axis), moved], vector, f"{name}.cut")
        end = g.length(x, x_type, axis)
        tail_type = x_type.with_dim(axis, tail)
        head_type = x_type.with_dim(axis, operation("-", length, tail))
        behind = g.op("Slice", [x, cut, end, g.whole(axis)], tail_type, f"{name}.behind")
        before = g.op("Slice", [x, g.whole(0), cut, g.whole(axis)], head_type, f"{name}.before")
        return g.op("Concat", [behind, before], x_type, name, axis=axis)
