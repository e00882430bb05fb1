"""Linear: an affine map of the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..semantics.number import Number, number, product, written
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Autocast, Device, Kept
from .options import Flag, InitialValuesOrNone, Whole

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_TWO = number(2)


class Linear(Layer):
    """`Linear(features)`: [..., in] -> [..., features], `y = x W^T + b` with W of [features, in].

    `weight = other.weight` shares the matrix of another layer, which must be [features, in] too.
    `init = normal(0.02)`, zeros, ones, xavier, he or orthogonal is how W begins, and b then as zeros; left out, both
    begin as the recipe says, or as PyTorch has them.
    """

    word: ClassVar[str] = "Linear"
    example: ClassVar[str] = "Linear(64)"
    autocast: ClassVar[Autocast] = "low"

    features: Whole
    bias: Flag = True
    weight: Any = None
    init: InitialValuesOrNone = None

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank < 2:
            raise ShapeFault("Linear maps the last axis, and there is only the batch", "put an axis there to map")
        if x.dtype != "float":
            raise ShapeFault(f"Linear takes float, and {x} comes in", "an Embedding makes vectors of whole numbers")
        if x.dims[-1].value is None:
            raise ShapeFault(
                f"Linear needs a last axis of known width, and {written(x.dims[-1])} is open until run time",
                "write the width as a number or constant where it comes in",
            )
        return (x.with_last(self.features),)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        bias = {"bias": Parameter((self.features,))} if self.bias else {}
        return {"weight": Parameter((self.features, x.dims[-1]))} | bias

    def keeps_places(self, x: Tensor) -> bool:
        return x.rank > 2

    def flops(self, x: Tensor) -> Number | None:
        return product([*x.dims, self.features, _TWO])

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(input=True)

    @property
    def is_module(self) -> bool:
        return True

    def arguments(self, x: Tensor, code: Code) -> str:
        """What its module is made with."""
        bias = "" if self.bias else ", bias=False"
        return f"{code.number(x.dims[-1])}, {code.number(self.features)}{bias}"

    def constructor(self, x: Tensor, code: Code) -> str:
        # Without a bias, and for the few rows of a batch alone, PyTorch's own does as well as a kernel.
        own = code.fused(self, x) if self.bias and x.rank > 2 else None
        return f"{own or 'nn.Linear'}({self.arguments(x, code)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        if self.init is not None:
            return self.init.lines(module, code, bias=self.bias)
        return [f"{code.init_linear()}({module}, generator)"]

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.linear(x, x_type, self.features, name, module, bias=self.bias),)
