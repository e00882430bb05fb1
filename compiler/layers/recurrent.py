"""What RNN, LSTM and GRU share: options, types, and parameters as PyTorch has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, equal, number, product, total
from ..semantics.tensor import Tensor, same
from . import held
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Device, Kept, Part
from .options import Countable, DropRate, Flag, SideInputOrNone, Whole

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Recurrent(Layer):
    """A network that reads a sequence step by step."""

    title: ClassVar[str]
    """What it is, in the docstring of the emitted class."""
    gates: ClassVar[int]
    """How many vectors as wide as `hidden` a step works out."""
    parts: ClassVar[int] = 1
    """How many vectors a layer hands from step to step."""
    kept_on_cpu: ClassVar[int]
    """How many vectors as wide as `hidden` PyTorch keeps of a step on a CPU: found out by looking."""
    inputs_kept_on_cpu: ClassVar[int] = 0
    """And how many as wide as what comes in, besides that."""
    onnx_gates: ClassVar[tuple[int, ...]]
    """Where in PyTorch's order each of ONNX's gates stands."""
    torch_function: ClassVar[str]
    """The function of `torch` that runs it."""
    example_input: ClassVar[str] = "[B, T, 16]"
    example_outputs: ClassVar[int] = 3
    holds_modules: ClassVar[bool] = True
    taken: ClassVar[frozenset[str]] = frozenset(
        """
        dim input_size hidden_size num_layers bias batch_first mode proj_size all_weights flatten_parameters
        permute_hidden check_input check_hidden_size check_forward_args reset_parameters get_expected_hidden_size
        get_expected_cell_size
        """.split()
    )

    hidden: Whole
    layers: Countable = 1
    bidirectional: Flag = False
    dropout: DropRate = 0
    lengths: SideInputOrNone = None
    state: SideInputOrNone = None

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        word = self.word
        if x.rank != 3 or x.dtype != "float" or x.dims[-1].value is None:
            raise ShapeFault(
                f"{word} takes [B, T, D] of known width D, and {x} comes in",
                "a sequence of vectors: an Embedding makes them of whole numbers",
            )
        if self.dropout.value != 0 and self.depth() == 1:
            raise ShapeFault(
                "`dropout` acts between layers, and there is one",
                f"give {word} more `layers`, or write `-> Dropout(...)` behind it",
                "dropout",
            )
        lengths, state = Tensor("int", x.dims[:1]), self.state_type(x)
        if self.lengths is not None and not same(self.lengths.type, lengths):
            raise ShapeFault(
                f"`lengths` takes how many steps of each sequence are valid: {lengths}; this is {self.lengths.type}",
                "give a whole number for each example",
                "lengths",
            )
        if self.state is not None and not same(self.state.type, state):
            raise ShapeFault(
                f"`state` takes what the same kind of layer gave as its third value: {state}; this is "
                f"{self.state.type}",
                f"the other {word} must have the same `hidden`, `layers` and `bidirectional`",
                "state",
            )
        return x.with_last(self.width()), x.without([1]).with_last(self.width()), state

    @property
    def sees_ahead(self) -> bool:
        return self.bidirectional

    def depth(self) -> int:
        return int(self.layers.value)

    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def width(self) -> Number:
        """The width of a state that leaves: that of both directions together."""
        return product([number(2), self.hidden]) if self.bidirectional else self.hidden

    def state_type(self, x: Tensor) -> Tensor:
        """[parts * layers * directions, B, hidden]."""
        rows = number(self.parts * self.depth() * self.directions())
        batch = x.axes[0] if x.axes else None
        return Tensor("float", (rows, x.dims[0], self.hidden), (None, batch, None))

    def entering(self, x: Tensor, layer: int) -> Number:
        """The width of what comes into a layer."""
        return x.dims[-1] if layer == 0 else self.width()

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        rows = self.hidden if self.gates == 1 else product([number(self.gates), self.hidden])
        found: dict[str, Parameter] = {}
        for layer in range(self.depth()):
            for key in self.keys(layer):
                found[f"weight_ih_{key}"] = Parameter((rows, self.entering(x, layer)))
                found[f"weight_hh_{key}"] = Parameter((rows, self.hidden))
                found[f"bias_ih_{key}"] = found[f"bias_hh_{key}"] = Parameter((rows,))
        return found

    def keys(self, layer: int) -> list[str]:
        """How PyTorch calls a layer's directions."""
        return [f"l{layer}", *([f"l{layer}_reverse"] if self.bidirectional else [])]

    def flops(self, x: Tensor) -> Number | None:
        batch, length, _ = x.dims
        matrices = [self.entering(x, layer) for layer in range(self.depth())] + [self.hidden] * self.depth()
        step = number(2 * self.gates * self.directions())
        return product([step, batch, length, self.hidden, total(matrices)])

    def keeps(self, x: Tensor, device: Device) -> Kept:
        """What comes into each layer, and for each step what PyTorch's kernel writes down for the way back."""
        rows = x.dims[:2]
        vectors = self.kept_on_cpu if device == "cpu" else self.gates + 2 * self.parts
        parts: list[Part] = []
        for layer in range(self.depth()):
            if layer:
                parts.append(Part((*rows, self.width())))
            for _ in range(self.directions()):
                parts.append(Part((*rows, self.hidden, number(vectors))))
                if device == "cpu":
                    parts.append(Part((*rows, self.entering(x, layer), number(self.inputs_kept_on_cpu))))
        gradients = Part((*rows, self.hidden, number(self.directions() * (self.gates + self.parts - 1))))
        return Kept(input=True, sides=self.sides(), more=tuple(parts), work=(gradients,))

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def drops(self, code: Code) -> bool:
        return self.dropout.value != 0 and not code.exporting

    def numbers(self, code: Code) -> dict[str, Number]:
        """What PyTorch's module is given besides the widths, by its names for them."""
        layers = {} if equal(self.layers, number(1)) else {"num_layers": self.layers}
        return layers | ({"dropout": self.dropout} if self.drops(code) else {})

    def flags(self) -> list[str]:
        return ["batch_first=True", *(["bidirectional=True"] if self.bidirectional else [])]

    def constructor(self, x: Tensor, code: Code) -> str:
        arguments = [code.number(x.dims[-1]), code.number(self.hidden)]
        arguments += [f"{name}={code.number(n)}" for name, n in self.numbers(code).items()]
        # The flags stand in the class where that has an `__init__` of its own.
        arguments += held.given(code.held) if code.held else self.flags()
        from .recurrent_torch import definition  # a check needs no text

        return f"{code.library(self.word, definition(self, code))}({', '.join(arguments)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        sides = [str(side) for side in (self.lengths, self.state) if side is not None]
        return f"{module}({', '.join([x, *sides])})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{code.init_recurrent()}({module}, generator)"]

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        from .recurrent_onnx import nodes  # a check needs no nodes

        return nodes(self, g, x, x_type, name, module)
