"""What a loss or a metric is: its inputs, what has to be true of them, and the PyTorch text that computes it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Protocol

from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.arithmetic import spell
from ..semantics.number import Number, equal, is_whole, real, whole, written
from ..semantics.tensor import Tensor, Type
from .base import Options
from .source import Field
from .spelling import real_text

Origin = Literal["output", "input", "data", "constant", "model", "state"]


class Value(Frozen):
    """What a name in `loss` or `metrics` stands for.

    `type` is UNKNOWN where an error was reported, and for the fields of files that are read later. `number` is the
    constant that stands for all entries. `shown` is how the spec writes it. `entrywise` says of a metric's
    input of no known type that the loss compares it entry by entry. Origins that no spec writes: the "model", whose
    weights a loss reads, and a "state" that it keeps from batch to batch.
    """

    origin: Origin
    name: str
    type: Type
    span: Span
    field: Field | None = None
    number: Number | None = None
    entrywise: bool = False

    @property
    def shown(self) -> str:
        if self.number is not None:
            return written(self.number)
        return f"data.{self.name}" if self.origin == "data" else self.name

    @property
    def source(self) -> str:
        """Its name in settings."""
        return "model" if self.origin == "model" else f"{self.origin}.{self.name}"

    @property
    def partial(self) -> bool:
        """Whether entries may hold -100, which do not count; what is read later may."""
        return self.origin == "data" and (self.field is None or self.field.partial)


class Misfit(Exception):
    """Inputs that do not go together. `place` is the input to blame, `label` says what stands there."""

    def __init__(self, code: str, message: str, place: Value, label: str, help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.place, self.label, self.help = code, message, place, label, help


class Operand(Frozen):
    """An input as the emitted function sees it: `text` is its name there."""

    value: Value
    text: str

    @property
    def rank(self) -> int | None:
        return self.value.type.rank if isinstance(self.value.type, Tensor) else None


class Statements(Protocol):
    """The body of an emitted function, as far as it is written."""

    def assign(self, name: str, expression: str) -> str:
        """Give an expression a name, this one or one that is free; returns it."""
        ...

    def define(self, name: str, lines: Sequence[str]) -> str:
        """Put a function or class of the name before this one, or of one that is free; returns it."""
        ...


class Call(Frozen):
    """`function(arguments)` in emitted code."""

    function: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(self.arguments)})"


class Measure(Options):
    """A loss or a metric: a number made of outputs of the model and what they should be."""

    takes: ClassVar[tuple[str, ...]]
    """How its inputs are called in messages; of two, what the model says and what is true."""
    sides: ClassVar[tuple[str, ...]] = ()
    """Further inputs, which stand by their names or are left out."""
    heads: ClassVar[dict[str, str]] = {}
    """Last layers that the first input must not come from -> why."""
    head_help: ClassVar[tuple[str, str]] = ("softmax-head", "take `{ending}` out of the model")
    """The code of what is said of such a layer, and the help."""
    counts_classes: ClassVar[bool] = False
    """Whether the second input is a class for each row of the first."""
    one_sided: ClassVar[bool] = True
    """Whether the first input is the model's and the second what is true, so that the order matters."""
    target_numbers: ClassVar[Literal["unit", "signs", "flags"] | None] = None
    """Which the second input holds where it is compared entry by entry: 0 to 1, 1 or -1, or 1 for what is true against
    0 or -1; None where any will do."""

    def asks_class(self, values: Sequence[Value]) -> bool:
        """Whether the second of its inputs is a class for each row of the first."""
        return self.counts_classes

    @abstractmethod
    def compares_entries(self, values: Sequence[Value]) -> bool:
        """Whether the first two of its inputs are compared entry by entry."""

    @abstractmethod
    def check(self, values: Sequence[Value]) -> None:
        """Raises Misfit where the types of its inputs, and of the sides that are given, do not go together. Types that
        are not known fit."""


class Loss(Measure):
    """What a training makes small."""

    spellings: ClassVar[dict[str, str]] = {"reduction": "reduce"}
    entrywise: ClassVar[bool] = False
    """Whether the first two inputs are compared entry by entry."""
    over_pairs: ClassVar[bool] = False
    """Whether its value is one of pairs of examples in a batch, and so no mean over examples."""

    @property
    def over_entries(self) -> bool:
        """Whether it is a mean over entries, and not over examples."""
        return (self.counts_classes or self.entrywise) and getattr(self, "reduce", "mean") == "mean"

    @property
    def ignored(self) -> Number | None:
        """The target that does not count, beside -100."""
        return None

    @property
    def class_weights(self) -> tuple[Number, ...] | None:
        """What each class counts, where they count unequally."""
        return None

    @property
    def only_for_classes(self) -> str | None:
        """What of it, in words, cannot be had of the probabilities of classes, which mixed labels are."""
        return f"`{self.word}`"

    def needs(self, values: Sequence[Value], span: Span) -> tuple[Value, ...]:
        """What it is given behind its inputs; `span` is where it stands."""
        return ()

    def state(self, values: Sequence[Value]) -> tuple[str, str, Sequence[str]] | None:
        """What it keeps from batch to batch: its name in settings, the module's class with its arguments, and the lines
        of that class."""
        return None

    def compares_entries(self, values: Sequence[Value]) -> bool:
        return self.entrywise

    @abstractmethod
    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        """The expression that computes it from its inputs; `before` takes what is better said in a statement before."""


class Metric(Measure):
    """What is measured beside the loss, on validation data."""

    masks: ClassVar[bool] = False
    """Whether it has to be told which entries count."""

    def compares_entries(self, values: Sequence[Value]) -> bool:
        return not self.asks_class(values)

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return self.word

    @property
    def apart(self) -> str:
        """What is put behind its name to tell it from another of that name and of the same inputs: `above_0.5`."""
        return ""


class MeanMetric(Metric):
    """A mean over all entries that count."""

    after: ClassVar[str | None] = None
    """The function that is applied to its mean over the validation set."""
    of_hits: ClassVar[bool] = False
    """Whether it is the part of the entries that are hits, so that over a set there is a whole number of them."""

    @abstractmethod
    def code(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> str:
        """What computes its mean over the entries that count; `counted` is the mask of those where not all do.

        `before` takes what is better said in a statement before it.
        """


class SetMetric(Metric):
    """A metric of a whole set that is no mean over its entries: of every batch some tensors are kept, and its value is
    that of all of them put together."""

    keeps: ClassVar[Mapping[str, Literal["sum", "join"]]]
    """What is kept of a batch, by name, and how that of several is put together: added up (in double precision where
    it is floats), or joined along the first axis."""
    decodes: ClassVar[bool] = False
    """Whether its value is one of texts: `decode` then makes one of a list of token numbers."""

    @abstractmethod
    def kept(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> Sequence[str]:
        """What computes each of `keeps`, a tensor of a batch; `counted` and `before` are those of `MeanMetric.code`."""

    @abstractmethod
    def value(self, kept: Sequence[str], before: Statements) -> str:
        """What computes the metric, a Python float, NaN where it is not defined; `kept` are the names of the tensors
        that were kept of the whole set, on the CPU."""


def averaged(function: str, arguments: Sequence[str], reduce: str, said: Operand) -> str:
    """A call of a function of PyTorch that takes the mean unless it is told not to: with `reduce = sum` each example is
    summed, and the batch averaged."""
    if reduce == "sum":
        total = Call(function, (*arguments, 'reduction="sum"'))
        return f"{total} / len({said.text})"
    return str(Call(function, tuple(arguments)))


# --- entries alike: one number asked for each that is said -----------------------------------------------------


def check_alike(word: str, said: Value, true: Value, *, of_classes: str = "") -> None:
    """Both have the same dims; nothing is stretched, since [B] against [B, 1] would compare all with all. `of_classes`
    is what compares classes in place of it."""
    if isinstance(said.type, Tensor) and said.type.dtype != "float" and said.origin == "output":
        raise Misfit("shape-mismatch", f"`{word}` takes float, and `{said.shown}` is {said.type}", said, "not float")
    if not isinstance(said.type, Tensor) or not isinstance(true.type, Tensor):
        return
    if said.type.rank == true.type.rank and all(map(equal, said.type.dims, true.type.dims)):
        return
    message = f"`{word}` takes two values alike: `{said.shown}` is {said.type}, and `{true.shown}` is {true.type}"
    help = f"make `{said.shown}` {without_type(true.type)}"
    if _is_column(said.type, true.type):
        shape = without_type(true.type)
        help = f"{help}: write `-> reshape({shape})` behind its last layer, and promise {shape}"
    if true.type.dtype == "int" and true.type.rank < said.type.rank and of_classes:
        help = f"for classes write `{of_classes}({said.shown}, {true.shown})`"
    raise Misfit("shape-mismatch", message, true, f"{true.type} here", help)


def is_class_of(said: Value, true: Value) -> bool:
    """Whether what is true is known to be one of several classes, and not one of two, or one for each entry that is
    said along the axis of classes."""
    classes = None if true.field is None else true.field.classes
    if classes is None or classes.value is None or not isinstance(said.type, Tensor):
        return False
    fewer = isinstance(true.type, Tensor) and true.type.rank < said.type.rank
    have = width(said)
    return fewer and (classes.value > 2 or (have is not None and equal(have, classes)))


def _is_column(said: Tensor, true: Tensor) -> bool:
    """[B, 1] against [B]: one number for each row, on an axis of its own."""
    return said.rank == true.rank + 1 and said.dims[-1].value == 1 and all(map(equal, said.dims, true.dims))


def check_label(word: str, said: Value, true: Value) -> None:
    """A number for each row of what is said: [B, D] against [B]."""
    if not isinstance(said.type, Tensor) or not isinstance(true.type, Tensor):
        return
    dims = said.type.dims[:-1]
    if true.type.rank == len(dims) and all(map(equal, true.type.dims, dims)):
        return
    wanted = without_type(Tensor("float", dims))
    message = f"`{word}` of `{said.shown}`, {said.type}, takes {wanted}, and `{true.shown}` is {true.type}"
    raise Misfit("shape-mismatch", message, true, f"{true.type} here", f"one number for each row of `{said.shown}`")


def check_vectors(word: str, said: Value) -> None:
    """Vectors lie along the last axis: [B, D]."""
    if isinstance(said.type, Tensor) and said.type.rank < 2:
        message = f"`{word}` takes vectors along the last axis, and `{said.shown}` is {said.type}"
        raise Misfit("shape-mismatch", message, said, f"{said.type} here", "such as [B, 128]")


def check_rows(word: str, *values: Value) -> None:
    """A vector for each example: [B, D]."""
    for value in values:
        if isinstance(value.type, Tensor) and value.type.rank != 2:
            message = f"`{word}` takes one vector for each example, and `{value.shown}` is {value.type}"
            raise Misfit("shape-mismatch", message, value, f"{value.type} here", "such as [B, 128]")


def check_weights(weight: tuple[Number, ...] | None, said: Value) -> None:
    """A weight for each class, none below 0 and one above it at least."""
    if weight is not None and (min(map(real, weight)) < 0 or max(map(real, weight)) == 0):
        message = "`weight` says what each class counts: 0 or more, and not 0 for all"
        raise Misfit("wrong-value", message, said, "its classes", "such as `weight = [1, 2.5]`")
    classes = width(said)
    if weight is None or classes is None or len(weight) == whole(classes):
        return
    message = f"`weight` has {len(weight)} entries, and `{said.shown}` tells {whole(classes)} classes apart"
    raise Misfit("wrong-value", message, said, f"{said.type} here", "give each class a weight, in order")


def target_like(said: Operand, true: Operand) -> str:
    """The text of a target with the shape and type of what is said."""
    if true.value.number is not None:
        return f"torch.{_filled(true.value.number, said.text)}"
    if not isinstance(true.value.type, Tensor):
        # The field of a file may be ints, and [B] where the model says [B, 1].
        return f"{true.text}.float().view_as({said.text})"
    return true.text if true.value.type.dtype == "float" else f"{true.text}.float()"


def _filled(n: Number, like: str) -> str:
    if n.value == 0:
        return f"zeros_like({like})"
    return f"ones_like({like})" if n.value == 1 else f"full_like({like}, {real_text(n)})"


# --- classes: one whole number asked for each row that is said -------------------------------------------------


def class_axis(rank: int) -> int:
    """Where the classes stand: axis 1 of pictures and volumes, else the last."""
    return 1 if rank in (4, 5) else rank - 1


def asks_class(said: Value, true: Value) -> bool:
    """Of a measure that takes both classes and entries alike: whether these are classes. In a field that is read later
    they are where several are told apart, unless the loss says otherwise."""
    if true.number is not None or not isinstance(said.type, Tensor):
        return False
    if isinstance(true.type, Tensor):
        return true.type.rank < said.type.rank
    several = said.type.rank > 1 and said.type.dims[class_axis(said.type.rank)].value != 1
    return several and not true.entrywise


def width(said: Value) -> Number | None:
    """How many classes are told apart, where it is known."""
    if not isinstance(said.type, Tensor) or said.type.rank < 2:
        return None
    dim = said.type.dims[class_axis(said.type.rank)]
    return None if dim.value is None else dim


def check_classes(word: str, said: Value, true: Value) -> None:
    """One class is asked for each row of logits: [B, T, vocab] against int[B, T]."""
    if not isinstance(said.type, Tensor):
        return
    if said.type.dtype != "float" or said.type.rank < 2:
        message = f"`{word}` takes logits with an axis of classes, and `{said.shown}` is {said.type}"
        raise Misfit("shape-mismatch", message, said, f"{said.type} here", "such as [B, classes]")
    axis = class_axis(said.type.rank)
    dims = (*said.type.dims[:axis], *said.type.dims[axis + 1 :])
    wanted = Tensor("int", dims)
    if true.number is not None:
        _check_class_number(word, said, true)
        return
    if not isinstance(true.type, Tensor):
        return
    fits = true.type.rank == wanted.rank and all(map(equal, true.type.dims, dims))
    if fits and true.type.dtype == "int":
        return
    message = f"`{word}` of `{said.shown}`, {said.type}, takes {wanted}, and `{true.shown}` is {true.type}"
    help = f"the classes of `{said.shown}` stand on {_axis(axis, said.type)}"
    if fits or true.type.dtype != "int":
        help = "classes are whole numbers, counted from 0"
    if said.type.rank == true.type.rank and true.type.dtype == "float":
        help = "for targets that are not classes there are `mse` and `binary_cross_entropy_with_logits`"
    raise Misfit("shape-mismatch", message, true, f"{true.type} here", help)


def _check_class_number(word: str, said: Value, true: Value) -> None:
    assert true.number is not None
    most = width(said)
    top = None if most is None else whole(most) - 1
    if is_whole(true.number) and whole(true.number) >= 0 and (top is None or whole(true.number) <= top):
        return
    message = f"`{word}` takes a class, counted from 0{'' if top is None else f' to {top}'}"
    raise Misfit("wrong-value", message, true, f"this is {spell(true.number.value or 0)}")


def _axis(axis: int, tensor: Tensor) -> str:
    return f"its axis {axis}" if axis != tensor.rank - 1 else "its last axis"


def without_type(tensor: Tensor) -> str:
    return f"[{', '.join(map(written, tensor.dims))}]"
