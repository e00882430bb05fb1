"""Classes of options: each field has the kind of value it takes, and an object is only made of values that fit.

    class Dropout(OptionSet):
        p: Probability            # required
        name: Text = "x"          # with a default, which is checked like any other value

Pydantic would do this too; importing it costs as much time as the whole of a cold `dlspec check` may take.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from inspect import get_annotations
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

from ..grammar.frozen import Frozen


class Kind(Frozen):
    """A kind of value, put into an annotation: `Whole = Annotated[Any, Kind(check)]`.

    `check` returns the value as it is kept, or raises ValueError with what the option takes, worded to follow
    "`name` takes ...". `words` are the bare words that it takes. `reads` says how its flow is read where it is no
    number, word, flag, list or recipe: the option kinds of layers have some of their own (`layers.options`).
    """

    check: Callable[[Any], Any]
    words: frozenset[str] = frozenset()
    reads: str = ""


class Field(Frozen):
    """An option: its default (REQUIRED where there is none) and what its annotation carries."""

    default: Any
    marks: tuple[Any, ...]

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    @property
    def kind(self) -> Kind | None:
        return next((mark for mark in self.marks if isinstance(mark, Kind)), None)


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


class Problem(Frozen):
    """An option that is missing (`takes` is None) or got what it does not take."""

    option: str
    takes: str | None


class BadOptions(ValueError):
    """Options that do not fit; all of their problems, in the order of the fields."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(", ".join(f"{p.option}: {p.takes or 'missing'}" for p in problems))
        self.problems = problems


class OptionSet:
    """The base of all classes of options. A subclass's annotated names are its options, in order; objects are fixed.

    Raises BadOptions where a value does not fit or a required one is missing, and TypeError for a name that is no
    option (a mistake of ours: what users write is held against `options` first).
    """

    options: ClassVar[Mapping[str, Field]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # Only the class's own annotations, less its class variables: working hints out is most of what a class costs.
        own = {name: text for name, text in get_annotations(cls).items() if not str(text).startswith("ClassVar")}
        scope = vars(sys.modules[cls.__module__])
        hints = get_type_hints(SimpleNamespace(__annotations__=own), globalns=scope, include_extras=True)
        cls.options = dict(cls.options) | {
            name: Field(getattr(cls, name, REQUIRED), get_args(hint)[1:] if get_origin(hint) is Annotated else ())
            for name, hint in hints.items()
        }

    def __init__(self, **values: Any) -> None:
        problems: list[Problem] = []
        for name, field in self.options.items():
            value = values.pop(name, field.default)
            if value is REQUIRED:
                problems.append(Problem(name, None))
                continue
            if field.kind is not None:
                try:
                    value = field.kind.check(value)
                except ValueError as fault:
                    problems.append(Problem(name, str(fault)))
                    continue
            object.__setattr__(self, name, value)
        if values:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(values)}")
        if problems:
            raise BadOptions(problems)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"the options of {type(self).__name__} are fixed")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
