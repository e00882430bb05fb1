"""sample_normal: a draw that gradients flow through."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor, same
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept, Part
from .options import SideInput

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_FUNCTION = '''\
def sample_normal(mean: Tensor, logvar: Tensor, training: bool) -> Tensor:
    """A draw from N(mean, exp(logvar)) that gradients flow through; the mean in evaluation."""
    if not training:
        return mean
    return mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
'''


class SampleNormal(Layer):
    """`sample_normal(mean, logvar)` (Kingma and Welling 2014): a draw from N(mean, exp(logvar)), in training.

    The draw is `mean + exp(logvar / 2) * n`, n from N(0, 1), so that gradients reach both; in evaluation it is the
    mean. Both are values of one shape, given by name.
    """

    word: ClassVar[str] = "sample_normal"
    example: ClassVar[str] = "sample_normal(mean, logvar)"
    example_sides: ClassVar[dict[str, str]] = {"mean": "[B, 16]", "logvar": "[B, 16]"}
    takes_running: ClassVar[bool] = False

    mean: SideInput
    logvar: SideInput

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        mean, logvar = self.mean.type, self.logvar.type
        for option, type_ in (("mean", mean), ("logvar", logvar)):
            if type_.dtype != "float":
                raise ShapeFault(f"`{option}` of sample_normal is float, and {type_} is given", "", option)
        if not same(mean, logvar):
            raise ShapeFault(
                f"sample_normal takes a mean and a logvar of one shape, and gets {mean} and {logvar}",
                "a mean has one logarithm of a variance",
                "logvar",
            )
        return (mean,)

    def keeps(self, x: Tensor, device: Device) -> Kept:
        # exp of half the logarithm, and the numbers drawn
        return Kept(more=(Part(self.mean.type.dims), Part(self.mean.type.dims)))

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        if code.exporting:
            return str(self.mean)
        return f"{code.library('sample_normal', _FUNCTION)}({self.mean}, {self.logvar}, self.training)"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.side(self.mean),)
