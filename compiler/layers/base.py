"""What a layer is: options, shape rule, parameters, PyTorch text, ONNX nodes, cost and an example, side by side."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from ...grammar.frozen import Frozen
from ...grammar.source import Source, Span
from ..options import OptionSet
from ..semantics.number import Number
from ..semantics.tensor import Tensor
from .held import Held
from .kept import Autocast, Device, Gives, Kept
from .side import Side

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


NOTHING = Tensor("float", ())
"""What a source is placed on."""


class ShapeFault(Exception):
    """What comes in does not fit a layer.

    `message` says both sides, dims as written; `help` says what to write; `option` names the option to blame, where
    it is one, and `part` the characters within its text. `label` says what is there, where that is not what comes in;
    `labels` are further places with what stands there.
    """

    def __init__(
        self,
        message: str,
        help: str = "",
        option: str | None = None,
        *,
        part: tuple[int, int] | None = None,
        label: str | None = None,
        code: str = "shape-mismatch",
        labels: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.help, self.option = message, help, option
        self.part, self.label, self.code, self.labels = part, label, code, labels


class NoOnnxForm(Exception):
    """A layer, or one of its options, that this version cannot export to ONNX. The message names it."""


class Parameter(Frozen):
    """A trained tensor of a layer. A matrix has decay; a vector has not."""

    dims: tuple[Number, ...]


class Code(Protocol):
    """What a layer may ask of the class it is written into."""

    def number(self, n: Number) -> str:
        """A number as a Python expression in this class (`4 * config.dim`)."""
        ...

    def real(self, n: Number) -> str:
        """A number as a Python float, where an int will not do: TorchScript takes none for a float."""
        ...

    def library(self, name: str, source: str) -> str:
        """Put a class or function of the library into the file, once; returns the name it got there."""
        ...

    def imported(self, name: str, module: str) -> str:
        """Have the file import a class from a module that lies beside it; returns its name there."""
        ...

    def fused(self, layer: Layer, x: Tensor, part: str = "") -> str | None:
        """The name of what runs a layer's kernels: a function for an attention, for a norm the class of its module.
        None where the plain form has to do. `part` is what a layer has besides: "rotary", "linears" that makes one
        product of its matrices, and "linear", the class of such a matrix."""
        ...

    def init_as_made(self) -> str:
        """The name of the function that gives a module the values that its class gives to a new one."""
        ...

    def init_linear(self) -> str:
        """The name of the function that draws a Linear's initial weights."""
        ...

    def init_conv(self) -> str:
        """The name of the function that draws a convolution's initial weights: of its weight, its bias or None."""
        ...

    def init_recurrent(self) -> str:
        """The name of the function that draws the initial weights of an RNN, LSTM or GRU."""
        ...

    def init_weight(self, tensor: str) -> list[str]:
        """Lines that draw an embedding's or position table's initial weights."""
        ...

    def init_vector(self, tensor: str) -> list[str]:
        """Lines that draw a single vector as one of a table is drawn."""
        ...

    def placed_like(self) -> list[str]:
        """The arguments that put a new float tensor where the model is, in its dtype (`device=x.device`)."""
        ...

    @property
    def held(self) -> Sequence[Held]:
        """The modules made in the arguments of the layer that is being constructed: its class takes and keeps them."""
        ...

    @property
    def exporting(self) -> bool:
        """Whether this is the emission that TorchScript scripts: evaluation only."""
        ...


class Layer(OptionSet):
    """A layer or function of the language.

    A subclass declares its options as fields, in the order in which they may stand without their name. Types are
    those of `options`. It overrides what differs from a weightless function of one input.
    """

    word: ClassVar[str]
    """Its name in the language."""
    example: ClassVar[str]
    """A line of a spec that uses it."""
    example_input: ClassVar[str] = "[B, 8, 16]"
    """A type that the example fits."""
    example_sides: ClassVar[dict[str, str]] = {}
    """Further inputs that the example names: `{"memory": "[B, S, 16]"}`."""
    example_outputs: ClassVar[int] = 1
    """How many values the example gives."""
    holds_modules: ClassVar[bool] = False
    """Whether modules that are made in its arguments lie inside it: its emitted class takes them (`Code.held`)."""
    taken: ClassVar[frozenset[str]] = frozenset()
    """Names of its emitted class that none of these can have, besides those of its options and parameters."""
    trains_only: ClassVar[bool] = False
    """Whether it is the identity outside training."""
    takes_running: ClassVar[bool] = True
    """Whether it works on the value that runs down the page. One that does not is a source: it has side inputs at
    most, and is placed on `NOTHING`."""
    variadic: ClassVar[str | None] = None
    """The option (`SideInputs`) that takes all values that stand without a name: `concat(a, b)`."""
    keywords: ClassVar[str | None] = None
    """The option (`Sizes`) that takes all that is given by a name that is no option's: `rearrange("...", p = 7)`."""
    sides_nest: ClassVar[bool] = False
    """Whether side inputs may stand written out in its call, as those of an operator do: else each is a variable."""
    no_onnx: ClassVar[str] = ""
    """Why it has no ONNX form, with its name; empty where it has one."""
    by_name: ClassVar[frozenset[str]] = frozenset()
    """Options that do not stand without their name."""
    python: ClassVar[Source | None] = None
    """The file that has its class, of a layer written in Python."""
    withheld: ClassVar[bool] = False
    """Whether what it gives stays unknown: it is written in Python, which was not allowed to run."""
    gives: ClassVar[Gives] = "new"
    """Where what goes out lies: in memory of its own, in that of what comes in, in that of its weight; or it is a table
    of numbers, whatever comes in."""
    autocast: ClassVar[Autocast] = "same"
    """What it computes in with bf16 and fp16: in these, as matrices are; in float32, as norms are; in what comes in."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    # --- meaning ---

    @abstractmethod
    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        """The types of the outputs. Raises ShapeFault."""

    @property
    def flowing_whole(self) -> int | None:
        """How many results it has, where these are all one: they go into `concat` or names together, never only the
        first. None for any other layer."""
        return None

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        """Trained tensors by their key below the module's, in the order in which they are made.

        The key is empty for a layer that is nothing but one tensor, an `nn.Parameter` under the layer's own name.
        """
        return {}

    def inside(self, x: Tensor) -> tuple[str, ...]:
        """The modules inside it by their names, `q` and `q_norm` of an attention."""
        return tuple(dict.fromkeys(key.partition(".")[0] for key in self.parameters(x) if "." in key))

    def buffers(self, x: Tensor) -> dict[str, Parameter]:
        """Tensors that are kept in the checkpoint and not trained: running statistics. As `parameters`."""
        return {}

    def sides(self) -> tuple[Side, ...]:
        """The side inputs that were given, in the order of the node's inputs."""
        found: list[Side] = []
        for name in self.options:
            value = getattr(self, name)
            found += [one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Side)]
        return tuple(sorted(found, key=lambda side: side.place))

    def axes_of_module(self, x: Tensor) -> int | None:
        """How many axes beyond the channels its PyTorch module is made for; None where one module takes any."""
        return None

    def idle(self) -> bool:
        """Whether it does nothing with these options (dropout of 0)."""
        return False

    @property
    def sees_ahead(self) -> bool:
        """Whether an entry of a sequence may see those behind it."""
        return False

    def keeps_places(self, x: Tensor) -> bool:
        """Whether entries [b, t, ...] of what it gives, of a sequence [B, T, ...], come of those of `x` alone. False
        also where that depends on more than is asked here."""
        return False

    def flops(self, x: Tensor) -> Number | None:
        """Floating-point operations of a forward pass over `x`, two a multiply-add; None where they do not count."""
        return None

    def hidden_flops(self, x: Tensor) -> Number | None:
        """Those of `flops` whose results a causal mask hides, so that nothing needs them."""
        return None

    def keeps(self, x: Tensor, device: Device) -> Kept:
        """What its backward pass needs of its forward pass over `x`, in training: see `plan`."""
        return Kept(input=True)

    # --- PyTorch ---

    def constructor(self, x: Tensor, code: Code) -> str | None:
        """The expression that makes the module, or None where a function does."""
        return None

    @property
    def is_module(self) -> bool:
        """Whether the emitted class holds an attribute for it."""
        return False

    @abstractmethod
    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        """The expression that applies it to `x` of type `x_type`; `module` is `self.<label>` or empty.

        A side input prints as what it will be: `f"{module}({x}, {self.memory})"`. A source has no `x`.
        """

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        """Statements that fill its parameters and tables; `module` is `self.<label>`."""
        return []

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        """Append its nodes for evaluation.

        `name` is the place it is run at, for its nodes; `module` the checkpoint path of its parameters, or empty.
        `g.side(self.memory)` is a side input. Raises NoOnnxForm.
        """
        raise NoOnnxForm(self.word)


class Function(Layer):
    """A pointwise function without weights: the output has the type of the input."""

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.dtype != "float":
            raise ShapeFault(
                f"{self.word} takes float, and {x} comes in", "an Embedding makes vectors of whole numbers"
            )
        return (x,)

    def keeps_places(self, x: Tensor) -> bool:
        return True
