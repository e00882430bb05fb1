"""The kinds of values that options of training take, beside those of layers."""

from __future__ import annotations

from typing import Annotated, Any

from ..options import Kind
from ..semantics.evaluate import is_number
from ..semantics.number import is_whole, number, real
from .base import ReadBy
from .lengths import read_length
from .words import word_option


def _given(value: object) -> object:
    return value


Word = Annotated[str, Kind(_given)]
"""A word that a reader of its own has let pass."""
TrainLength = Annotated[Any, Kind(_given), ReadBy(read_length)]
"""A `Length`, or None where it is left out."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError('a text in quotes, such as "name"')
    return value


def _file(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError('the path of a file in quotes, such as "train.bin"')
    return value


def _file_or_none(value: object) -> str | None:
    return None if value is None else _file(value)


def _files(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, tuple) else (value,)
    texts = tuple(item for item in listed if isinstance(item, str) and item)
    if not texts or len(texts) < len(listed):
        raise ValueError('a path or a list of paths in quotes, such as "corpus/*.txt"')
    return texts


def _split(value: object) -> tuple[Any, ...] | None:
    if value is None:
        return None
    what = "two parts of the whole, for training and validation, such as [0.9, 0.1]"
    if not isinstance(value, tuple) or len(value) != 2 or not all(is_number(part) for part in value):
        raise ValueError(what)
    train, validation = (part.value for part in value)
    if train is None or validation is None or not (0 < train <= 1 and validation >= 0 and train + validation <= 1):
        raise ValueError(f"{what}, that come to 1 at most")
    return value


def _coerced(value: object) -> Any:
    """Defaults are written as plain Python numbers."""
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _betas(value: object) -> tuple[Any, ...]:
    value = tuple(map(_coerced, value)) if isinstance(value, tuple) else value
    if not isinstance(value, tuple) or len(value) != 2 or not all(is_number(b) and 0 <= real(b) < 1 for b in value):
        raise ValueError("two numbers from 0 to below 1, such as [0.9, 0.95]")
    return value


def _below_one(value: object) -> Any:
    value = _coerced(value)
    if not is_number(value) or not 0 <= real(value) < 1:
        raise ValueError("a number from 0 to below 1")
    return value


def _whole_or_none(value: object) -> Any:
    if value is None:
        return None
    if not is_number(value) or not is_whole(value):
        raise ValueError("a whole number or none")
    return value


def _part(value: object) -> Any:
    if value is None:
        return None
    if not is_number(value) or value.value is None or not 0 <= value.value <= 1:
        raise ValueError("a part of the peak rate, from 0 to 100%, such as 10%")
    return value


Text = Annotated[str, Kind(_text)]
File = Annotated[str, Kind(_file)]
FileOrNone = Annotated[str | None, Kind(_file_or_none)]
Files = Annotated[tuple[str, ...], Kind(_files)]
Split = Annotated[Any, Kind(_split)]
Betas = Annotated[Any, Kind(_betas)]
BelowOne = Annotated[Any, Kind(_below_one)]
WholeNumberOrNone = Annotated[Any, Kind(_whole_or_none)]
PartOrNone = Annotated[Any, Kind(_part)]
DecayOn = Annotated[str, Kind(_given), word_option("group of parameters", "matrices all")]
