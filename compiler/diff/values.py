"""Values of specs, to compare and to show: what a value is, however it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from ...grammar import tree
from ...grammar.source import Span
from ..layers.base import Layer
from ..layers.score import ScoreFunction
from ..layers.side import Side
from ..options import OptionSet
from ..scalars.expression import ScalarFunction, Variable, substitute
from ..semantics.arithmetic import spell
from ..semantics.evaluate import Recipe, is_number
from ..semantics.number import Atom, Literal, Number, Operation, Reference, polynomial, spelled, written
from ..semantics.tensor import Tensor
from ..training.lengths import Length
from ..training.measure import Value as Measurable
from ..training.modules import ModuleName
from ..training.renaming import Renamed
from ..training.stage import ScheduleStage
from ..training.tokenizers import Tokenizer

PLACES = frozenset({"span", "spans"})
"""Fields that say where something stands, which is no part of what it means."""


def meaning(value: object) -> object:
    """Equal, and hashable, for what means the same."""
    if is_number(value):
        return _number(value)
    match value:
        case Tensor(dtype=dtype, dims=dims):
            return dtype, tuple(map(_number, dims))
        case OptionSet():
            word = getattr(value, "word", type(value).__name__)
            return word, tuple((name, meaning(getattr(value, name))) for name in value.options)
        case Measurable():
            return value.origin, value.name, meaning(value.number)
        case Recipe(flow=flow):
            return _text(flow)
        case tree.Node():
            return _text(value)
        case tuple() | list():
            return tuple(map(meaning, value))
        case Span():
            return None
        case Side(place=place):
            return "side", place
        case ScalarFunction(parameters=parameters):
            places = {parameter.name: Variable(str(place)) for place, parameter in enumerate(parameters)}
            return meaning([p.default for p in parameters]), meaning(substitute(value.value, places))
        case ScoreFunction(function=function, arguments=arguments):
            given = [(p.name, arguments.get(p.name)) for p in function.parameters]
            # A weight that is made there has the name of its parameter.
            return meaning(function), *((isinstance(v, OptionSet) and name, meaning(v)) for name, v in given)
        case Mapping():
            return tuple(sorted((str(key), meaning(inner)) for key, inner in value.items()))
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, *(meaning(inner) for _, inner in parts(value))
    # Numbers that a class has as its own defaults are plain.
    return _exact(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def parts(value: object) -> list[tuple[str, object]]:
    """The fields of a record that have a meaning."""
    if isinstance(value, OptionSet):
        return [(name, getattr(value, name)) for name in value.options if name not in PLACES]
    assert is_dataclass(value)
    found = [(field.name, getattr(value, field.name)) for field in fields(value)]
    return [(name, inner) for name, inner in found if name not in PLACES and not isinstance(inner, Span | type)]


def shown(value: object) -> str:
    """The value as a spec would have it; numbers that were computed with their result."""
    if is_number(value):
        return number_text(value)
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case Length() | ModuleName() | Renamed():
            return str(value)
        case OptionSet():
            given = [_given(value, name, v) for name, v in parts(value) if _is_given(value, name)]
            word = getattr(value, "word", type(value).__name__)
            return f"{word}({', '.join(given)})" if given else word
        case Measurable():
            return value.shown
        case Side():
            return "a value"
        case Tokenizer(kind=kind, size=size, path=path):
            return path or (kind if size is None else f"{kind}({shown(size)})")
        case ScalarFunction():
            return value.name
        case ScoreFunction(function=function, arguments=arguments):
            return f"{function.name}({shown(arguments)})" if arguments else function.name
        case Recipe(flow=flow):
            return _text(flow)
        case tree.Node():
            return _text(value)
        case (inner, Span()):
            return shown(inner)
        case tuple() | list():
            return f"[{', '.join(map(shown, value))}]"
        case Mapping():
            return ", ".join(f"{key} = {shown(inner)}" for key, inner in value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return " ".join(shown(inner) for _, inner in parts(value) if inner not in (None, ()))
    return str(value)


def number_text(n: Number) -> str:
    """`768`, `1e-3`, `4 * dim = 3072`, `T`."""
    if isinstance(n, Literal):
        return n.text
    if n.value is None:
        return spelled(n, _outermost)
    plain = spell(n.value)
    return f"{written(n)} = {plain}" if isinstance(n, Operation) else plain


def as_written(value: object) -> str:
    """The value as it was written: equal where a change comes from elsewhere, such as from a constant."""
    if is_number(value):
        return written(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(as_written, value))
    return shown(value)


def _number(n: Number) -> object:
    if n.value is not None:
        return _exact(n.value)
    return tuple(sorted((tuple(map(_atom, monomial)), factor) for monomial, factor in polynomial(n).items()))


def _exact(value: object) -> object:
    return float(value) if isinstance(value, int | float) or hasattr(value, "numerator") else value  # type: ignore[arg-type]


def _atom(atom: Atom) -> object:
    """Open dims are known by their names; whose they are differs from file to file."""
    inner = atom.key if isinstance(atom.key, tuple) else ()
    return atom.name, repr(_plain(inner))


def _plain(key: object) -> object:
    if isinstance(key, Atom):
        return _atom(key)
    return tuple(map(_plain, key)) if isinstance(key, tuple) else key


def _outermost(reference: Reference) -> str:
    target = reference.target
    return reference.name if target is None or reference.value is not None else spelled(target, _outermost)


def _text(node: tree.Node) -> str:
    return " ".join(node.span.text.split())


def _given(owner: OptionSet, name: str, value: object) -> str:
    """What a layer or a stage of a schedule needs stands without its name, as in a spec."""
    bare = isinstance(owner, Layer | ScheduleStage) and owner.options[name].required
    return shown(value) if bare else f"{name} = {shown(value)}"


def _is_given(value: OptionSet, name: str) -> bool:
    field = value.options[name]
    return field.required or meaning(getattr(value, name)) != meaning(field.default)
