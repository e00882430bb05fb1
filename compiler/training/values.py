"""The kinds of values that options of training take, beside those of layers."""

from __future__ import annotations

from typing import Annotated, Any

from ..options import Kind
from ..semantics.evaluate import is_number
from ..semantics.number import is_whole, number, real
from .base import ReadBy
from .lengths import read_length, read_lengths
from .words import word_option


def _given(value: object) -> object:
    return value


Word = Annotated[str, Kind(_given)]
"""A word that a reader of its own has let pass."""
TrainLength = Annotated[Any, Kind(_given), ReadBy(read_length)]
"""A `Length`, or None where it is left out."""
TrainLengths = Annotated[Any, Kind(_given), ReadBy(read_lengths)]
"""A tuple of `Length`s."""


def _text(value: object) -> str:
    if value == "":
        raise ValueError("a text that is not empty")
    if not isinstance(value, str):
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


def _columns(value: object) -> tuple[str, ...] | str | None:
    """One column by its name is not a list of one: that is a column beside others."""
    try:
        return None if value is None else value if isinstance(value, str) and value else _files(value)
    except ValueError:
        raise ValueError('the name of a column in quotes, or a list of them, such as ["rooms", "area"]') from None


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


def _below_zero(value: object) -> Any:
    value = _coerced(value)
    if not is_number(value) or real(value) >= 0:
        raise ValueError("a number below 0")
    return value


def _below_one_above_zero(value: object) -> Any:
    value = _coerced(value)
    if not is_number(value) or not 0 < real(value) < 1:
        raise ValueError("a number between 0 and 1")
    return value


def _decay_or_none(value: object) -> Any:
    try:
        return None if value is None else _below_one_above_zero(value)
    except ValueError:
        raise ValueError("a number between 0 and 1 or none") from None


def _several(value: object) -> Any:
    if not is_number(value) or not is_whole(value) or real(value) < 2:
        raise ValueError("a whole number of at least 2")
    return value


def _at_least_one(value: object) -> Any:
    value = _coerced(value)
    if not is_number(value) or real(value) < 1:
        raise ValueError("a number of at least 1")
    return value


def _whole_or_none(value: object) -> Any:
    if value is None:
        return None
    if not is_number(value) or not is_whole(value):
        raise ValueError("a whole number or none")
    return value


def _part_above_zero(value: object) -> Any:
    if not is_number(value) or value.value is None or not 0 < value.value <= 1:
        raise ValueError("a part above 0, up to 100%, such as 1%")
    return value


def _whole_part(value: object) -> Any:
    value = _coerced(value)
    if not is_number(value) or value.value is None or not 0 <= value.value <= 1:
        raise ValueError("a part from 0 to 100%, such as 30%")
    return value


def _part(value: object) -> Any:
    value = _coerced(value)
    if value is None:
        return None
    if not is_number(value) or value.value is None or not 0 <= value.value <= 1:
        raise ValueError("a part of the peak rate, from 0 to 100%, such as 10%")
    return value


def _files_or_none(value: object) -> tuple[str, ...] | None:
    return None if value is None else _files(value)


def _range(value: object) -> tuple[Any, Any]:
    value = tuple(map(_coerced, value)) if isinstance(value, tuple) else value
    if not isinstance(value, tuple) or len(value) != 2 or not all(is_number(end) for end in value):
        raise ValueError("two numbers above 0, such as [0.5, 2]")
    low, high = map(real, value)
    if not 0 < low <= high:
        raise ValueError("two numbers above 0, the smaller one first, such as [0.5, 2]")
    return value


def _part_range(value: object) -> tuple[Any, Any]:
    try:
        value = _range(value)
    except ValueError:
        raise ValueError("two parts of the whole, the smaller one first, such as [0.1, 1]") from None
    if real(value[1]) > 1:
        raise ValueError("two parts of the whole, the smaller one first, such as [0.1, 1]")
    return value


def _degrees(value: object) -> Any:
    value = _coerced(value)
    if not is_number(value) or not 0 <= real(value) <= 180:
        raise ValueError("degrees, from 0 to 180")
    return value


def _half_or_less(value: object) -> Any:
    value = _coerced(value)
    if not is_number(value) or not 0 <= real(value) <= 0.5:
        raise ValueError("a number from 0 to 0.5")
    return value


def _numbers(value: object) -> tuple[Any, ...]:
    if not isinstance(value, tuple) or not value or not all(is_number(n) and n.value is not None for n in value):
        raise ValueError("a list of numbers, such as [0.5, 0.25]")
    return value


def _size(value: object) -> tuple[Any, Any]:
    sides = value if isinstance(value, tuple) else (value, value)
    if len(sides) != 2 or not all(is_number(side) and is_whole(side) and real(side) >= 1 for side in sides):
        raise ValueError("a size in pixels, such as 224 or [height, width]")
    return sides


DecayOrNone = Annotated[Any, Kind(_decay_or_none)]
AtLeastOne = Annotated[Any, Kind(_at_least_one)]
Several = Annotated[Any, Kind(_several)]
Text = Annotated[str, Kind(_text)]
TextOrNone = Annotated[str | None, Kind(lambda value: None if value is None else _text(value))]
File = Annotated[str, Kind(_file)]
FileOrNone = Annotated[str | None, Kind(_file_or_none)]
Files = Annotated[tuple[str, ...], Kind(_files)]
FilesOrNone = Annotated[Any, Kind(_files_or_none)]
ColumnsOrNone = Annotated[Any, Kind(_columns)]
Split = Annotated[Any, Kind(_split)]
Betas = Annotated[Any, Kind(_betas)]
BelowOne = Annotated[Any, Kind(_below_one)]
BelowOneAboveZero = Annotated[Any, Kind(_below_one_above_zero)]
BelowZero = Annotated[Any, Kind(_below_zero)]
WholeNumberOrNone = Annotated[Any, Kind(_whole_or_none)]
PartAboveZero = Annotated[Any, Kind(_part_above_zero)]
PartOrNone = Annotated[Any, Kind(_part)]
Part = Annotated[Any, Kind(_whole_part)]
DecayOn = Annotated[str, Kind(_given), word_option("group of parameters", "matrices all")]
Range = Annotated[Any, Kind(_range)]
PartRange = Annotated[Any, Kind(_part_range)]
Degrees = Annotated[Any, Kind(_degrees)]
HalfOrLess = Annotated[Any, Kind(_half_or_less)]
Numbers = Annotated[Any, Kind(_numbers)]
NumbersOrNone = Annotated[Any, Kind(lambda value: None if value is None else _numbers(value))]
Size = Annotated[Any, Kind(_size)]
SizeOrNone = Annotated[Any, Kind(lambda value: None if value is None else _size(value))]
Reduce = Annotated[str, Kind(_given), word_option("way to reduce", "mean sum", {"average": "mean", "none": "mean"})]
