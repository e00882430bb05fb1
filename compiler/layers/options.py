"""The kinds of values that a layer's options take.

A check gets what the spec's author wrote, worked out: a `Number`, bool, str (a word or quoted text), None (`none`)
or a recipe. It raises ValueError with what the option takes, worded to follow "`name` takes ...".
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

from ..options import Kind
from ..semantics.number import Literal, Number, Operation, Reference, is_whole, number, whole
from .initial import WORDS as INITIAL_WORDS
from .initial import Initial
from .score import ScoreFunction
from .side import Side

if TYPE_CHECKING:
    from .base import Layer


def _is_number(value: object) -> bool:
    return isinstance(value, Literal | Reference | Operation)


def _coerced(value: object) -> object:
    """Defaults in layer classes are written as plain Python numbers."""
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _whole(low: int, what: str, high: int | None = None) -> Kind:
    def validate(value: object) -> Number:
        value = _coerced(value)
        if not _is_number(value) or not is_whole(value) or value.value < low:  # type: ignore[arg-type, union-attr, operator]
            raise ValueError(what)
        if high is not None and whole(value) > high:  # type: ignore[arg-type]
            raise ValueError(what)
        if isinstance(value, Literal) and value.text.endswith("%"):
            raise ValueError(what)  # 800% is a whole number, and nobody's way to write 8
        return value  # type: ignore[return-value]

    return Kind(validate)


def _real(
    low: float | None, high: float | Fraction | None, what: str, *, open_low: bool = False, open_high: bool = False
) -> Kind:
    def validate(value: object) -> Number:
        value = _coerced(value)
        if not _is_number(value) or value.value is None:  # type: ignore[union-attr]
            raise ValueError(what)
        v = value.value  # type: ignore[union-attr]
        if low is not None and (v <= low if open_low else v < low):
            raise ValueError(what)
        if high is not None and (v >= high if open_high else v > high):
            raise ValueError(what)
        return value  # type: ignore[return-value]

    return Kind(validate)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _or_none(kind: Kind) -> Kind:
    def validate(value: object) -> Any:
        if value is None:
            return None
        try:
            return kind.check(value)
        except ValueError as error:
            raise ValueError(f"{error} or none") from None

    return Kind(validate, kind.words, kind.reads)


_POSITIVE = _whole(1, "a whole number of at least 1")
_REAL = _real(None, None, "a number")
_ABOVE_ZERO = _real(0, None, "a number above 0", open_low=True)

Whole = Annotated[Any, _POSITIVE]
# Of what is made one by one: a slip of the finger does not fill the memory.
Countable = Annotated[Any, _whole(1, "a whole number from 1 to 10_000", 10_000)]
WholeOrZero = Annotated[Any, _whole(0, "a whole number of at least 0")]
WholeOrNone = Annotated[Any, _or_none(_POSITIVE)]
Real = Annotated[Any, _REAL]
RealOrNone = Annotated[Any, _or_none(_REAL)]
Positive = Annotated[Any, _ABOVE_ZERO]
PositiveOrNone = Annotated[Any, _or_none(_ABOVE_ZERO)]
# What is added before a division; a width, as other tools ask for in its place, is none.
Small = Annotated[Any, _real(0, Fraction(1, 10), "a small number, above 0 and at most 0.1", open_low=True)]
NotNegative = Annotated[Any, _real(0, None, "a number of at least 0")]
Probability = Annotated[Any, _real(0, 1, "a number from 0 to 1")]
# What is left of 1 is divided by: to drop everything leaves nothing to learn from.
DropRate = Annotated[Any, _real(0, 1, "a number of at least 0 and below 1", open_high=True)]
Flag = Annotated[bool, Kind(_flag)]


def one_of(*words: str | None) -> Kind:
    """The validator of an option that takes one of a few words (None stands for `none`)."""
    listed = [word or "none" for word in words]
    what = f"{', '.join(listed[:-1])} or {listed[-1]}"

    def validate(value: object) -> str | None:
        if not (value is None or isinstance(value, str)) or value not in words:
            raise ValueError(what)
        return value

    return Kind(validate, frozenset(word for word in words if word))


# --- what is read in a way of its own --------------------------------------------------------------------------


def _axis(value: object) -> int | str:
    """A position, or the name of a dim: the builder hands over names as text, unread."""
    value = _coerced(value)
    if isinstance(value, str):
        return value
    if not _is_number(value) or not is_whole(value):  # type: ignore[arg-type]
        raise ValueError("an axis: its position, or the name of its dim")
    return whole(value)  # type: ignore[arg-type]


def _axes(value: object) -> tuple[int | str, ...]:
    try:
        return tuple(map(_axis, value if isinstance(value, tuple) else (value,)))
    except ValueError:
        raise ValueError("an axis or a list of axes, by position or by the name of the dim") from None


def _per_axis(low: int, *words: str) -> Kind:
    """One whole number for all axes, or a list of them, one an axis; or one of a few words."""
    single = _whole(low, "")
    what = f"a whole number of at least {low} or a list of them, one an axis{''.join(f', or {w}' for w in words)}"

    def validate(value: object) -> Number | tuple[Number, ...] | str:
        if isinstance(value, str) and value in words:
            return value
        try:
            return tuple(map(single.check, value)) if isinstance(value, tuple) else single.check(value)
        except ValueError:
            raise ValueError(what) from None

    return Kind(validate, frozenset(words))


def _dims(value: object) -> tuple[Number, ...]:
    """Whole numbers of at least 1, or open dims."""
    numbers = tuple(map(_coerced, value if isinstance(value, tuple) else (value,)))
    if not numbers or not all(_is_number(n) for n in numbers):
        raise ValueError("a list of dims, such as [B, 64]")
    if any(n.value is not None and (not is_whole(n) or n.value < 1) for n in numbers):  # type: ignore[arg-type, union-attr, operator]
        raise ValueError("a list of dims, whole numbers of at least 1 or names of dims")
    return numbers  # type: ignore[return-value]


def _new_shape(value: object) -> tuple[Number, ...]:
    """Dims, of which one may be -1: what is left."""
    what = "a list of dims, of which one may be -1, such as [B, 4, -1]"
    numbers = tuple(map(_coerced, value if isinstance(value, tuple) else (value,)))
    if not all(_is_number(n) for n in numbers):
        raise ValueError(what)
    given = tuple(n for n in numbers if n.value != -1)  # type: ignore[union-attr]
    if len(numbers) > len(given) + 1:
        raise ValueError(f"{what}: two of them cannot be worked out")
    if given:
        _dims(given)
    return numbers  # type: ignore[return-value]


def _shifts(value: object) -> tuple[Number, ...]:
    numbers = tuple(map(_coerced, value if isinstance(value, tuple) else (value,)))
    if not numbers or not all(_is_number(n) and is_whole(n) for n in numbers):  # type: ignore[arg-type]
        raise ValueError("a whole number, or a list of them, one an axis")
    return numbers  # type: ignore[return-value]


def _pattern(value: object) -> str:
    """Only that it is text: what is wrong in it is told at its place in the text (`rearrange_pattern`)."""
    if not isinstance(value, str):
        raise ValueError('a pattern in quotes, such as "b (h p) -> b h p"')
    return value


def _sizes(value: object) -> tuple[tuple[str, Number], ...]:
    if not isinstance(value, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        raise ValueError("lengths of axes by their names")
    for name, n in value:
        if not _is_number(n) or (n.value is not None and (not is_whole(n) or n.value < 1)):
            raise ValueError(f"whole numbers of at least 1 for the lengths of axes, and `{name}` is none")
        if sum(other == name for other, _ in value) > 1:
            raise ValueError(f"one length for each axis, and `{name}` is given twice")
    return value


def _initial(value: object) -> Initial:
    value = Initial(value) if isinstance(value, str) and value in INITIAL_WORDS else value
    deviates = isinstance(value, Initial) and value.std is not None
    if not isinstance(value, Initial) or (deviates and (value.std.value is None or value.std.value <= 0)):  # type: ignore[union-attr]
        raise ValueError(f"{', '.join(INITIAL_WORDS)} or normal with a deviation above 0, such as `normal(0.02)`")
    return value


def _side(value: object) -> Side:
    if not isinstance(value, Side):
        raise ValueError("a value that flows")
    return value


def _sides(value: object) -> tuple[Side, ...]:
    if not isinstance(value, tuple) or not all(isinstance(one, Side) for one in value):
        raise ValueError("values that flow")
    return value


def _number_or_side(low: int, what: str) -> Kind:
    """A whole number, or a value that flows."""
    single = _whole(low, what)
    return Kind(lambda value: value if isinstance(value, Side) else single.check(value), reads=NUMBER_OR_VALUE)


def _score(value: object) -> Side | ScoreFunction:
    if not isinstance(value, Side | ScoreFunction):
        raise ValueError("a value that flows, or a function of the file")
    return value


def _norm(value: object) -> Layer:
    from .base import Layer

    if not isinstance(value, Layer) or value.word not in ("RMSNorm", "LayerNorm"):
        raise ValueError("a norm: RMSNorm or LayerNorm")
    return value


def _layer(value: object) -> Layer:
    from .base import Layer

    if not isinstance(value, Layer):
        raise ValueError("a layer")
    return value


AXES, VALUE, VALUES, LAYER, SIZES, INITIAL = "axes", "value", "values", "layer", "sizes", "initial"
NUMBER_OR_VALUE, FUNCTION_OR_VALUE = "number or value", "function or value"
"""Ways of reading (`Kind.reads`): names of dims stay names; a flow is placed and gives its value; all values that
stand without a name; one layer or function of the library, with its options; all that is given by a name that is no
option's; how weights begin; a number, or a flow that gives a value."""

Axis = Annotated[Any, Kind(_axis, reads=AXES)]
AxisOrNone = Annotated[Any, _or_none(Kind(_axis, reads=AXES))]
Axes = Annotated[Any, Kind(_axes, reads=AXES)]
AxesOrNone = Annotated[Any, _or_none(Kind(_axes, reads=AXES))]
Dims = Annotated[Any, Kind(_dims)]
PerAxis = Annotated[Any, _per_axis(1)]
PerAxisOrNone = Annotated[Any, _or_none(_per_axis(1))]
PerAxisOrZero = Annotated[Any, _per_axis(0)]
PerAxisOrZeroOrNone = Annotated[Any, _or_none(_per_axis(0))]
PerAxisOrSame = Annotated[Any, _per_axis(0, "same")]
NewShape = Annotated[Any, Kind(_new_shape)]
Shifts = Annotated[Any, Kind(_shifts)]
PatternText = Annotated[Any, Kind(_pattern)]
Sizes = Annotated[Any, Kind(_sizes, reads=SIZES)]
InitialValues = Annotated[Any, Kind(_initial, frozenset(INITIAL_WORDS), reads=INITIAL)]
InitialValuesOrNone = Annotated[Any, _or_none(Kind(_initial, frozenset(INITIAL_WORDS), reads=INITIAL))]
SideInput = Annotated[Any, Kind(_side, reads=VALUE)]
SideInputOrNone = Annotated[Any, _or_none(Kind(_side, reads=VALUE))]
SideInputs = Annotated[Any, Kind(_sides, reads=VALUES)]
NumberOrSideOrNone = Annotated[
    Any, _or_none(_number_or_side(0, "a whole number of at least 0, a value that flows, int[B],"))
]
ScoreOrNone = Annotated[Any, _or_none(Kind(_score, reads=FUNCTION_OR_VALUE))]
NormOrNone = Annotated[Any, _or_none(Kind(_norm, reads=LAYER))]
InnerLayer = Annotated[Any, Kind(_layer, reads=LAYER)]
InnerLayerOrNone = Annotated[Any, _or_none(Kind(_layer, reads=LAYER))]
