"""Dims as ONNX writes them: a number where it is known, else text in the model's terms (`B`, `16 * H`)."""

from __future__ import annotations

from ...semantics.number import Literal, Number, Operation, Reference, equal, number, whole, written


def free_name(name: str, taken: set[str]) -> str:
    """`name`, or `name_2`, `name_3`, ... where it is taken; it is taken from now on."""
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    taken.add(free)
    return free


class DimNames:
    """Gives equal open dims one text, that of the first it sees: show it the model's inputs first."""

    def __init__(self) -> None:
        self._seen: list[tuple[Number, str]] = []
        self._texts: set[str] = set()

    def dim(self, n: Number) -> int | str:
        """The size where it is known, else the dim's text."""
        if n.value is not None:
            return whole(n)
        for known, text in self._seen:
            if equal(known, n):
                return text
        text = free_name(written(_in_model_terms(n)), self._texts)
        self._seen.append((n, text))
        return text

    def forget(self, n: Number) -> None:
        """Let a dim have another text from here on: what it stands for is of another size."""
        self._seen = [(known, text) for known, text in self._seen if not equal(known, n)]

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
