"""SqueezeExcite: channels weighed by what all of them are on average."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.evaluate import is_number
from ..semantics.number import Number, number, product
from ..semantics.tensor import Tensor, same
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Device, Kept, Part
from .options import InnerLayer, Whole
from .relu import Relu
from .sliding import check_channels, check_picture

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_FOUR = number(4)  # two matrices, two operations a multiply-add


class SqueezeExcite(Layer):
    """`SqueezeExcite(hidden, act = relu)` (Hu et al. 2018): [B, C, ...] -> [B, C, ...], for one to three further axes.

    Each channel (axis 1) is multiplied by its entry of `sigmoid(fc2(act(fc1(means))))`, the means being those of the
    channels; `fc1` is a Linear to `hidden` features, `fc2` one back to the channels. `act` is any function or layer
    that keeps the shape.
    """

    word: ClassVar[str] = "SqueezeExcite"
    example: ClassVar[str] = "SqueezeExcite(4, act = silu)"
    example_input: ClassVar[str] = "[B, 16, H, W]"

    hidden: Whole
    act: InnerLayer = Relu()

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_picture(self.word, x)
        check_channels(self.word, x)
        squeezed = self._squeezed(x)
        found = self.act.infer(squeezed) if self.act.takes_running and not self.act.sides() else ()
        if len(found) != 1 or not same(found[0], squeezed):
            raise ShapeFault(
                f"`act` takes a layer or function that keeps the shape {squeezed}, and {self.act.word} does not",
                "write an activation, such as `act = silu`",
                "act",
            )
        return (x,)

    def _squeezed(self, x: Tensor) -> Tensor:
        """What `act` gets: a number for each hidden feature."""
        return Tensor("float", (x.dims[0], self.hidden))

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        channels = x.dims[1]
        first = {"fc1.weight": Parameter((self.hidden, channels)), "fc1.bias": Parameter((self.hidden,))}
        second = {"fc2.weight": Parameter((channels, self.hidden)), "fc2.bias": Parameter((channels,))}
        inner = self.act.parameters(self._squeezed(x))
        return first | {f"act.{key}": parameter for key, parameter in inner.items()} | second

    def flops(self, x: Tensor) -> Number | None:
        return product([_FOUR, x.dims[0], x.dims[1], self.hidden])

    def keeps(self, x: Tensor, device: Device) -> Kept:
        squeezed = self._squeezed(x).dims
        factors = Part(x.dims[:2])
        return Kept(input=True, more=(factors, factors, Part(squeezed), Part(squeezed)))

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        name = code.library("SqueezeExcite", self._class(x, code))
        return f"{name}({code.number(x.dims[1])}, {code.number(self.hidden)})"

    def _class(self, x: Tensor, code: Code) -> str:
        squeezed = self._squeezed(x)
        axes = x.rank - 2
        act = _spelled_out(self.act)
        module = "self.act" if act.is_module else ""
        make = [f"{module} = {act.constructor(squeezed, code)}"] if module else []
        draw = code.init_linear()
        fill = [
            f"{draw}(self.fc1, generator)",
            *(act.initialise(module, squeezed, code) if module else []),
            f"{draw}(self.fc2, generator)",
        ]
        over = ", ".join(str(axis) for axis in range(2, x.rank))
        lines = [
            "class SqueezeExcite(nn.Module):",
            '    """Squeeze and excitation (Hu et al. 2018): channels times what their means say, shape kept"""',
            "",
            "    def __init__(self, channels: int, hidden: int) -> None:",
            "        super().__init__()",
            "        self.fc1 = nn.Linear(channels, hidden)",
            *(f"        {line}" for line in make),
            "        self.fc2 = nn.Linear(hidden, channels)",
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            f"        h = self.fc1(x.mean({f'({over})' if axes > 1 else over}))  # [B, hidden]",
            f"        h = {act.call(module, 'h', squeezed, code)}",
            f"        return x * torch.sigmoid(self.fc2(h))[:, :{', None' * axes}]",
            "",
            "    def init_weights(self, generator: torch.Generator | None) -> None:",
            *(f"        {line}" for line in fill),
        ]
        return "\n".join(lines) + "\n"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{module}.init_weights(generator)"]

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        axes = g.wholes(range(2, x_type.rank))
        means, squeezed = Tensor("float", x_type.dims[:2]), self._squeezed(x_type)
        h = g.op("ReduceMean", [x, axes], means, f"{name}.squeeze", keepdims=0)
        h = g.linear(h, means, self.hidden, f"{name}.fc1", f"{module}.fc1", bias=True)
        (h,) = self.act.onnx(g, h, squeezed, f"{name}.act", f"{module}.act")
        h = g.linear(h, squeezed, x_type.dims[1], f"{name}.fc2", f"{module}.fc2", bias=True)
        h = g.op("Sigmoid", [h], means, f"{name}.sigmoid")
        one = (number(1),) * (x_type.rank - 2)
        h = g.op("Unsqueeze", [h, axes], Tensor("float", (*means.dims, *one)), f"{name}.excite")
        return (g.op("Mul", [x, h], x_type, name),)


def _spelled_out(act: Layer) -> Layer:
    """The layer with its numbers as plain ones: a class of the library knows no constants of the file."""
    if not act.options:
        return act
    values = {name: getattr(act, name) for name in act.options}
    return type(act)(**{n: number(v.value) if is_number(v) and v.value is not None else v for n, v in values.items()})
