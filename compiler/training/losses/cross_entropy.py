"""cross_entropy: how far the predicted classes are from the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import NotNegative, Probability
from ...semantics.number import Number, real
from ..class_weights import class_weights, weights_of_labels
from ..measure import Call, Loss, Operand, Statements, Value, averaged, check_classes, check_weights
from ..spelling import real_text
from ..values import NumbersOrNone, Reduce, WholeNumberOrNone


class CrossEntropy(Loss):
    """`cross_entropy(logits, data.label, smoothing = 0, ignore = none)`: the mean of `-log softmax(logits)[label]`.

    Logits [B, classes] against int[B], [B, T, classes] against int[B, T], pictures [B, classes, H, W] against
    int[B, H, W]. `smoothing` moves that part of the target from the true class evenly to all (Szegedy et al. 2016).
    Targets of -100 do not count, nor do those equal to `ignore`. `weight` is a list with what each class counts: the
    mean is then divided by the weights of the targets, not by their number. `reduce = sum` sums each example, and
    averages the batch.

    `z_loss = 1e-4` adds the mean of `1e-4 * log(sum(exp(logits))) ^ 2`, which keeps logits from drifting away from 0
    together: the softmax does not see that, and 16 bits do (Chowdhery et al. 2022). A target counts in it as in the
    rest.
    """

    word: ClassVar[str] = "cross_entropy"
    example: ClassVar[str] = "cross_entropy(logits, data.label, smoothing = 0.1)"
    spellings: ClassVar[dict[str, str]] = {"reduction": "reduce", "class_weight": "weight", "zloss": "z_loss"}
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
    z_loss: NotNegative = 0

    @property
    def ignored(self) -> Number | None:
        return self.ignore

    @property
    def class_weights(self) -> tuple[Number, ...] | None:
        return self.weight

    @property
    def only_for_classes(self) -> str | None:
        given = {"ignore": self.ignore is not None, "weight": self.weight is not None, "z_loss": real(self.z_loss) != 0}
        return next((f"`{name}` of `cross_entropy`" for name, there in given.items() if there), None)

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)
        check_weights(self.weight, values[0])

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        weight = None if self.weight is None else class_weights(self.weight, said, before)
        logits, label = rows(said, true)
        if real(self.z_loss) != 0 and logits != said.text:
            logits, label = before.assign("rows", logits), before.assign("labels", label)
        options = [] if weight is None else [f"weight={weight}"]
        options += [] if real(self.smoothing) == 0 else [f"label_smoothing={real_text(self.smoothing)}"]
        loss = averaged("F.cross_entropy", (logits, label, *options), self.reduce, said)
        if real(self.z_loss) == 0:
            return loss
        entropy = before.assign("cross_entropy", loss)
        axis = 1 if said.rank in (4, 5) else -1
        squares = before.assign("squares", f"{logits}.logsumexp({axis}).square()")
        return f"{entropy} + {real_text(self.z_loss)} * {self._mean(squares, weight, said, true, label, before)}"

    def _mean(
        self, squares: str, weight: str | None, said: Operand, true: Operand, label: str, before: Statements
    ) -> str:
        """The mean of the squares, in which targets count as they do in the rest."""
        if weight is not None:
            counts = weights_of_labels(weight, label, before)
        elif true.value.partial or self.ignore is not None:
            counts = before.assign("counted", f"{label} != -100")
        elif self.reduce == "sum":
            return f"{squares}.sum() / len({said.text})"
        else:
            return f"{squares}.mean()"
        total = f"len({said.text})" if self.reduce == "sum" else f"{counts}.sum()"
        return f"({squares} * {counts}).sum() / {total}"

    def fused(self, operands: Sequence[Operand], function: str, ignored: Number | None, before: Statements) -> str:
        """The same by a function with kernels, which leaves out targets that are `ignored`, too."""
        said, true = operands
        weights = () if self.weight is None else (class_weights(self.weight, said, before, "torch.float32"),)
        numbers = (f"{name}={value}" for name, value in self.numbers(ignored).items())
        return str(Call(function, (said.text, filled(said, true).text, *weights, *numbers)))

    def numbers(self, ignored: Number | None) -> dict[str, str]:
        """What kernels are given besides logits and targets, as Python."""
        smoothing = {} if real(self.smoothing) == 0 else {"smoothing": real_text(self.smoothing)}
        z = {} if real(self.z_loss) == 0 else {"z_loss": real_text(self.z_loss)}
        return smoothing | z | ({} if ignored is None else {"ignore": real_text(ignored)})


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
