"""Dims as ONNX writes them: a number where it is known, else text in the model's terms (`B`, `16 * H`)."""

from __future__ import annotations

from ...semantics.number import Literal, Number, Operation, Reference, equal, number, whole, written


class DimNames:
    """Gives equal open dims one text, that of the first it sees: show it the model's inputs first."""

    def __init__(self) -> None:
        self._seen: list[tuple[Number, str]] = []

    def dim(self, n: Number) -> int | str:
        """The size where it is known, else the dim's text."""
        if n.value is not None:
            return whole(n)
        for known, text in self._seen:
            if equal(known, n):
                return text
        text = written(_in_model_terms(n))
        self._seen.append((n, text))
        return text

    def shape(self, dims: tuple[Number, ...]) -> tuple[int | str, ...]:
        return tuple(map(self.dim, dims))


def _in_model_terms(n: Number) -> Number:
    """The number with the names of blocks and constants, which the file knows nothing of, replaced by what they are."""
    if n.value is not None:
        return n if isinstance(n, Literal) else number(n.value)
    match n:
        case Reference(target=Literal() | Reference() | Operation() as target):
            return _in_model_terms(target)
        case Operation(operator, operands):
            return Operation(operator, tuple(map(_in_model_terms, operands)))
    return n
