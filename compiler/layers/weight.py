"""Weight: a trained tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import written
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .initial import OF_MATRICES, Initial
from .kept import Gives
from .options import Dims, InitialValues

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Weight(Layer):
    """`Weight([dims])`: a trained tensor of the model. It takes nothing; its key is its label, or `weight`.

    `init` says how it begins: zeros, ones, `normal(0.02)`, and for two dims or more xavier, he or orthogonal.
    """

    word: ClassVar[str] = "Weight"
    example: ClassVar[str] = "Weight([4, 16], init = normal(0.02))"
    gives: ClassVar[Gives] = "weight"
    takes_running: ClassVar[bool] = False

    dims: Dims
    init: InitialValues = Initial("zeros")

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        for dim in self.dims:
            if dim.value is None:
                raise ShapeFault(
                    f"a Weight is made when the model is built, and {written(dim)} is open until it runs",
                    "write a number, or a constant of the file",
                    "dims",
                )
        if self.init.word in OF_MATRICES and len(self.dims) < 2:
            raise ShapeFault(
                f"{self.init} goes by inputs and outputs, and a Weight of one dim has not both",
                "write zeros, ones or `normal(0.02)`",
                "init",
            )
        return (Tensor("float", self.dims),)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"": Parameter(self.dims)}

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.Parameter(torch.empty({', '.join(map(code.number, self.dims))}))"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return module

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        std = "" if self.init.std is None else code.real(self.init.std)
        return [self.init.line(module, std)]

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.parameter(module),)
