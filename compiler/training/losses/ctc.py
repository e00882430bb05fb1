"""ctc: a sequence is told without saying when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import WholeOrZero
from ...semantics.number import equal, whole
from ...semantics.tensor import Tensor
from ..measure import Loss, Misfit, Operand, Statements, Value, width
from ..spelling import real_text
from .cross_entropy import CrossEntropy


class Ctc(Loss):
    """`ctc(logits, data.targets, lengths = data.lengths, blank = 0)`: `-log` of the probability of all ways to say the
    targets of an example with repeats and blanks, averaged over the batch (Graves et al. 2006).

    Logits [B, T, classes] against int[B, S], which may hold -100 behind the end of a target. `lengths`, int[B], says
    how many steps of the logits count; `blank` is the class that says nothing.
    """

    word: ClassVar[str] = "ctc"
    example: ClassVar[str] = "ctc(logits, data.targets)"
    spellings: ClassVar[dict[str, str]] = {"input_lengths": "lengths"}
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.targets")
    sides: ClassVar[tuple[str, ...]] = ("lengths",)
    heads: ClassVar[dict[str, str]] = CrossEntropy.heads

    blank: WholeOrZero = 0

    def check(self, values: Sequence[Value]) -> None:
        said, true, *lengths = values
        if isinstance(said.type, Tensor) and said.type.rank != 3:
            message = f"`ctc` takes logits [B, T, classes], and `{said.shown}` is {said.type}"
            raise Misfit("shape-mismatch", message, said, f"{said.type} here")
        _check_whole_numbers(true, 2, "[B, S]", said)
        for value in lengths:
            _check_whole_numbers(value, 1, "[B]", said)
        classes = width(said)
        if classes is not None and whole(self.blank) >= whole(classes):
            message = f"`blank` is one of the {whole(classes)} classes of `{said.shown}`, counted from 0"
            raise Misfit("wrong-value", message, said, f"{said.type} here", "such as `blank = 0`")

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true, *lengths = operands
        spoken = before.assign("log_probabilities", f"F.log_softmax({said.text}, dim=-1).transpose(0, 1)")
        size, steps = f"{said.text}.shape[:1]", f"{said.text}.shape[1]"
        # A tensor of lengths on the CPU, where F.ctc_loss wants them.
        heard = lengths[0].text if lengths else before.assign("lengths", f"torch.full({size}, {steps})")
        asked = before.assign("target_lengths", f"({true.text} != -100).sum(-1)")
        blank = "" if real_text(self.blank) == "0" else f", blank={real_text(self.blank)}"
        total = before.assign("ctc", f'F.ctc_loss({spoken}, {true.text}, {heard}, {asked}{blank}, reduction="sum")')
        return f"{total} / len({said.text})"


def _check_whole_numbers(value: Value, rank: int, shape: str, said: Value) -> None:
    if not isinstance(value.type, Tensor):
        return
    same_batch = not isinstance(said.type, Tensor) or (value.type.rank and equal(value.type.dims[0], said.type.dims[0]))
    if value.type.dtype != "int" or value.type.rank != rank or not same_batch:
        message = f"`ctc` takes int{shape} here, and `{value.shown}` is {value.type}"
        raise Misfit("shape-mismatch", message, value, f"{value.type} here")
