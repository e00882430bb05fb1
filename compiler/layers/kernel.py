"""What a convolution and a transposed one share: a kernel with weights that slides along the axes of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..semantics.number import Number, Operation, divides, number, whole, written
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Autocast
from .options import PerAxis, Whole
from .sliding import check_channels, check_picture, keyword, per_axis, spelled_out, wholes

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Kernel(Layer):
    """A layer whose kernel slides along `axes` axes: its options begin with features, kernel and stride."""

    autocast: ClassVar[Autocast] = "low"
    axes: ClassVar[int]

    features: Whole
    kernel: PerAxis
    stride: PerAxis = 1

    if TYPE_CHECKING:  # each class declares them itself, behind how it pads
        dilation: Any
        groups: Any
        bias: Any
        init: Any

    def check(self, x: Tensor) -> None:
        """Raises ShapeFault where what comes in is no picture of that many axes, or does not fall into groups."""
        check_picture(self.word, x, self.axes)
        check_channels(self.word, x)
        for count, what in ((x.dims[1], f"channels of {x}"), (self.features, "features")):
            if not divides(self.groups, count):
                raise ShapeFault(
                    f"the {written(count)} {what} do not fall into {written(self.groups)} groups",
                    f"channels and features of {self.word} must be multiples of `groups`",
                    "groups",
                )

    def ints(self, option: str) -> list[int]:
        """An option as one number for each axis."""
        return wholes(per_axis(self.word, option, getattr(self, option), self.axes))

    def weights(self, rows: Number, columns: Number) -> dict[str, Parameter]:
        """[rows, columns of one group, *kernel], and the bias."""
        kernels = per_axis(self.word, "kernel", self.kernel, self.axes)
        bias = {"bias": Parameter((self.features,))} if self.bias else {}
        return {"weight": Parameter((rows, _share(columns, self.groups), *kernels))} | bias

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def module_text(self, x: Tensor, code: Code, options: list[str]) -> str:
        """The constructor with options as `keyword` writes them."""
        widths = f"{code.number(x.dims[1])}, {code.number(self.features)}"
        return f"nn.{self.word}({widths}, kernel_size={spelled_out(self.kernel, code.number)}{''.join(options)})"

    def groups_and_bias(self, code: Code) -> list[str]:
        return [keyword("groups", self.groups, 1, code), "" if self.bias else ", bias=False"]

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        if self.init is not None:
            return self.init.lines(module, code, bias=self.bias)
        return [f"{code.init_conv()}({module}.weight, {f'{module}.bias' if self.bias else None}, generator)"]

    # --- ONNX ---

    def node(
        self, g: OnnxBuilder, operator: str, x: OnnxValue, x_type: Tensor, name: str, module: str, **options: list[int]
    ) -> OnnxValue:
        """The one node that it is; `options` are those in which operators differ."""
        inputs = [x, g.parameter(f"{module}.weight"), *([g.parameter(f"{module}.bias")] if self.bias else [])]
        (type_,) = self.infer(x_type)
        return g.op(
            operator,
            inputs,
            type_,
            name,
            kernel_shape=self.ints("kernel"),
            strides=self.ints("stride"),
            **options,
            dilations=self.ints("dilation"),
            group=whole(self.groups),
        )


def _share(channels: Number, groups: Number) -> Number:
    """The channels of one group."""
    if groups.value == 1:
        return channels
    if channels.value == groups.value:
        return number(1)
    return Operation("/", (channels, groups))
