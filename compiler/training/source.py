"""What a source of data is: its options, its fields, and what settings say about it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ...grammar.frozen import Frozen
from ..semantics.number import Number, Reference, real
from ..semantics.tensor import DType
from .base import Options
from .plain import plain_options


class Field(Frozen):
    """What one example has under a name: its type and dims, without the batch.

    `dims` is None where the type is known only when the data is read; a dim may be open for the same reason.
    `classes` is the number of values it counts from 0, where that is known when the spec is compiled. `partial` says
    that entries may hold -100, which do not count. `option` is the option that its dims come from.
    """

    dtype: DType
    dims: tuple[Number, ...] | None
    classes: Number | None = None
    partial: bool = False
    option: str | None = None


class DataSource(Options):
    """Where examples come from."""

    vocabulary: ClassVar[bool] = False
    """Whether its classes are tokens: then a head may be wider than them, for speed, but not narrower."""

    following: ClassVar[Mapping[str, str]] = {}
    """Fields that hold the next entries of another: each is that field, one place further on."""

    beside: ClassVar[frozenset[str]] = frozenset({"split", "validation", "examples"})
    """Options that say nothing about the fields of an example."""
    naming: ClassVar[frozenset[str]] = frozenset()
    """Options that say which fields there are."""

    asked: ClassVar[frozenset[str]] = frozenset({"label", "target", "targets"})
    """Fields that hold what is asked for, which no model is given."""

    def lacking(self) -> str:
        """What to write where it has no field for an input, if an option that was left out would bring one."""
        return ""

    @abstractmethod
    def fields(self) -> Mapping[str, Field] | None:
        """Its fields by name, or None where they are known only when the data is read."""

    def settings(self) -> dict[str, Any]:
        """Its options as plain JSON values; what was left out and has a default of the runtime's is left out."""
        return plain_options(self)

    def validates(self) -> bool:
        """Whether a part of the data is kept for validation."""
        return True

    def tokenizes(self) -> bool:
        """Whether text can be turned into what it gives, and back."""
        return False


def picture(size: tuple[Number, Number] | None, channels: Number) -> Field:
    """A picture, [channels, height, width] from 0 to 1; what its size is, the data says where nothing else does."""
    sides = size or (Reference("height", "open", "data"), Reference("width", "open", "data"))
    return Field("float", (channels, *sides), option="size")


def label(classes: Number | None) -> Field:
    """The number of a class, counted from 0."""
    return Field("int", (), classes, option="classes")


def windows(window: Number, classes: Number | None) -> dict[str, Field]:
    """The fields of running text: `targets` are the tokens one place further on, -100 where nothing is asked."""
    return {
        "tokens": Field("int", (window,), classes, option="window"),
        "targets": Field("int", (window,), classes, partial=True, option="window"),
    }


def split_settings(split: tuple[Number, Number] | None) -> dict[str, Any]:
    return {} if split is None else {"split": [real(part) for part in split]}


def keeps_some(split: tuple[Number, Number] | None) -> bool:
    """Whether a split leaves something to validate on; left out, it does."""
    return split is None or real(split[1]) > 0
