"""cross_entropy: how far the predicted classes are from the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Probability
from ...semantics.number import Number, real
from ..measure import Call, Loss, Operand, Value, check_classes, check_weights
from ..spelling import real_text
from ..values import NumbersOrNone, Reduce, WholeNumberOrNone


class CrossEntropy(Loss):
    """`cross_entropy(logits, data.label, smoothing = 0, ignore = none)`: the mean of `-log softmax(logits)[label]`.

    Logits [B, classes] against int[B], [B, T, classes] against int[B, T], pictures [B, classes, H, W] against
    int[B, H, W]. `smoothing` moves that part of the target from the true class evenly to all (Szegedy et al. 2016).
    Targets of -100 do not count, nor do those equal to `ignore`. `weight` is a list with what each class counts;
    `reduce = sum` sums each example, and averages the batch.
    """

    word: ClassVar[str] = "cross_entropy"
    example: ClassVar[str] = "cross_entropy(logits, data.label, smoothing = 0.1)"
    later: ClassVar[frozenset[str]] = frozenset({"weight", "reduce"})
    spellings: ClassVar[dict[str, str]] = {"reduction": "reduce", "class_weight": "weight"}
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    heads: ClassVar[dict[str, str]] = {
        "softmax": "takes logits: it has a softmax of its own",
        "log_softmax": "takes logits: it has a log_softmax of its own",
        "sigmoid": "takes logits: it has a softmax of its own",
    }

    smoothing: Probability = 0
    ignore: WholeNumberOrNone = None
    weight: NumbersOrNone = None
    reduce: Reduce = "mean"

    @property
    def ignored(self) -> Number | None:
        return self.ignore

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)
        check_weights(self.weight, values[0])

    def code(self, operands: Sequence[Operand]) -> Call:
        said, true = operands
        smoothing = () if real(self.smoothing) == 0 else (f"label_smoothing={real_text(self.smoothing)}",)
        return Call("F.cross_entropy", (*rows(said, true), *smoothing))

    def fused(self, operands: Sequence[Operand], function: str, ignored: Number | None) -> Call:
        """The same by a function with kernels, which leaves out targets that are `ignored`, too."""
        said, true = operands
        numbers = (f"{name}={value}" for name, value in self.numbers(ignored).items())
        return Call(function, (said.text, filled(said, true).text, *numbers))

    def numbers(self, ignored: Number | None) -> dict[str, str]:
        """What kernels are given besides logits and targets, as Python."""
        smoothing = {} if real(self.smoothing) == 0 else {"smoothing": real_text(self.smoothing)}
        return smoothing | ({} if ignored is None else {"ignore": real_text(ignored)})


def rows(said: Operand, true: Operand) -> tuple[str, str]:
    """Logits and classes as F.cross_entropy takes them: a row of logits for each class, or pictures as they are."""
    true = filled(said, true)
    if said.rank not in (2, 4, 5):
        return f"{said.text}.flatten(0, -2)", f"{true.text}.flatten()"
    return said.text, true.text


def filled(said: Operand, true: Operand) -> Operand:
    """The classes; one that stands for all of them as a tensor."""
    if true.value.number is None:
        return true
    shape = f"{said.text}[:, 0].shape" if said.rank in (4, 5) else f"{said.text}.shape[:-1]"
    text = f"torch.full({shape}, {real_text(true.value.number)}, device={said.text}.device)"
    return Operand(true.value, text)
