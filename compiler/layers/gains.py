"""The learned factors of a residual's branch: `gain`, one number (ReZero), and `layer_scale`, one a channel."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, number
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .options import Real

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class _Factor(Layer):
    """A trained tensor that multiplies what flows, begun at `start`."""

    start: Real

    @abstractmethod
    def shape(self, x: Tensor) -> tuple[Number, ...]:
        """The dims of the factor."""

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"": Parameter(self.shape(x))}

    def keeps_places(self, x: Tensor) -> bool:
        return True

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.Parameter(torch.empty({', '.join(map(code.number, self.shape(x))) or '()'}))"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module} * {x}"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"nn.init.constant_({module}, {code.real(self.start)})"]

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Mul", [g.parameter(module), x], x_type, name),)


class Gain(_Factor):
    """`residual(gain = 0)` (ReZero, Bachlechner et al. 2021): a learned number times the branch."""

    word: ClassVar[str] = "residual.gain"

    def shape(self, x: Tensor) -> tuple[Number, ...]:
        return ()


class LayerScale(_Factor):
    """`residual(layer_scale = 1e-4)` (Touvron et al. 2021): a learned number a channel times the branch."""

    word: ClassVar[str] = "residual.layer_scale"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.channels.value is None:
            raise ShapeFault(
                f"`layer_scale` has a number for each channel, and how many channels {x} has is open",
                "`gain` is one number for all; or write the size in the place of the open dim",
            )
        return super().infer(x)

    def shape(self, x: Tensor) -> tuple[Number, ...]:
        # Ones behind the channels, where they are not the last axis, so that the factor stretches over those.
        return (x.channels, *(number(1) for _ in range(x.rank - 1 - x.channel_axis)))
