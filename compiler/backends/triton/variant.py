"""One set of kernels in a file, as a layer asked for it: what is fixed when they are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from .specialise import Specialised


class NoKernel(Exception):
    """There are no kernels for what a layer asks for; the message says what that is."""


class Variant(ABC):
    """Variants that are equal share their kernels. Those of one `kind` are numbered, and end their names with it."""

    kind: ClassVar[str]
    runs_kernels: ClassVar[bool] = True
    """Whether it launches any, be they those of the variant that it stands on."""
    called: ClassVar[bool] = True
    """Whether models call it themselves; else other variants alone do."""

    @property
    def tables(self) -> Mapping[str, str]:
        """The tables of its tiles, by their names without its number: "forward" or "backward", whose they are."""
        return {}

    @property
    @abstractmethod
    def entry(self) -> str:
        """The function or class that a model takes from the file, without its number."""

    @property
    @abstractmethod
    def shared(self) -> tuple[str, ...]:
        """What the file has once for all variants that ask for it."""

    @property
    def on(self) -> Variant | None:
        """The variant whose functions this one calls: it stands before it in the file, and gives it its number."""
        return None

    def covers(self, other: Variant) -> bool:
        """Whether what it writes has all that the other would write, under the same names."""
        return self == other

    @property
    def beside(self) -> tuple[Variant, ...]:
        """Variants whose functions this one calls, under numbers of their own: they stand before it in the file."""
        return ()

    @abstractmethod
    def kernels(self, number: int) -> Specialised: ...

    @abstractmethod
    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        """What launches the kernels, and what the model calls."""
