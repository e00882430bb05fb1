"""Metrics of one score for each entry: what is above a number is said to be true."""

from __future__ import annotations

from ...semantics.number import Number, equal
from ...semantics.tensor import Tensor
from ..measure import Misfit, Operand, Value, check_alike, class_axis, is_class_of, target_like
from ..spelling import real_text, value_text


def check_one_score(word: str, said: Value, true: Value, above: Number | None) -> bool:
    """Whether a score is said for each entry. Raises Misfit where that, and the lack of `above`, do not go together."""
    if above is not None:
        if is_class_of(said, true):
            message = f"`above` is of one score, and `{true.shown}` is a class for each row of `{said.shown}`"
            help = f"for classes write `{word}({said.shown}, {true.shown})`"
            raise Misfit("shape-mismatch", message, true, f"{true.type} here", help)
        check_alike(word, said, true)
        return True
    if not isinstance(said.type, Tensor) or said.type.dtype != "float":
        return False
    alone = said.type.rank < 2 or said.type.dims[class_axis(said.type.rank)].value == 1
    if alone or _alike(said.type, true.type):
        message = f"`{word}` takes a logit for each class, and `{said.shown}` is one score for each entry"
        help = f"say above what it is true: `{word}({said.shown}, {true.shown}, above = 0)`, or 0.5 for a probability"
        raise Misfit("shape-mismatch", message, said, f"{said.type} here", help)
    return False


def _alike(said: Tensor, true: object) -> bool:
    return isinstance(true, Tensor) and said.rank == true.rank and all(map(equal, said.dims, true.dims))


def told_above(above: Number | None) -> str:
    """What tells a metric of one number from that of another: `above_0.5`."""
    return "" if above is None else f"above_{value_text(above)}"


def split_scores(said: Operand, true: Operand, counted: str | None, above: Number) -> tuple[str, str, str | None]:
    """What computes which entries are said to be true, which are, and, where not all count, which do: one shape."""
    mask = counted
    if counted is not None and not isinstance(true.value.type, Tensor):
        mask = f"{counted}.view_as({said.text})"
    return f"{said.text} > {real_text(above)}", f"{target_like(said, true)} > 0", mask
