"""Classes whose objects are fixed once they are made: dataclasses in all but the time that it takes to make the class.

    class Name(Frozen):
        text: str

is `@dataclass(frozen=True) class Name`: fields, `replace`, `match` and type checkers see no difference. Its methods are
written once, here, where `dataclass` compiles up to six for each class: of the hundred classes that a check loads, that
took a third of its time. An object takes a microsecond more to make, so what is made and compared all the time (spans,
tokens, numbers) is a plain dataclass.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field
from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen:
    """The base of such classes. Objects of one that is made with `eq=False` are equal to themselves alone."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __match_args__: ClassVar[tuple[str, ...]]
    _compared: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, *, eq: bool = True) -> None:
        super().__init_subclass__()
        dataclass(init=False, repr=False, eq=False)(cls)
        cls._compared = tuple(name for name, one in cls.__dataclass_fields__.items() if one.compare)
        if not eq:
            cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__

    def __init__(self, *values: Any, **named: Any) -> None:
        own, fields = self.__dict__, self.__dataclass_fields__
        for name, value in zip(self.__match_args__, values, strict=False):
            own[name] = value
        own.update(named)
        given = len(own)
        if given < len(fields):
            self._take_defaults()
        if own.keys() != fields.keys() or given != len(values) + len(named):
            raise TypeError(f"{type(self).__name__} takes {', '.join(fields)}, each once")

    def _take_defaults(self) -> None:
        own = self.__dict__
        for name, one in self.__dataclass_fields__.items():
            if name in own:
                continue
            if one.default is not MISSING:
                own[name] = one.default
            elif one.default_factory is not MISSING:
                own[name] = one.default_factory()

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, Frozen) or type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name, one in self.__dataclass_fields__.items() if one.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _values(self) -> tuple[Any, ...]:
        """The fields that take part in equality."""
        return tuple(map(self.__dict__.__getitem__, self._compared))
