"""What all option classes of training share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ...grammar import tree
from ..options import OptionSet
from ..semantics.evaluate import Scope
from ..semantics.report import Report


@dataclass(frozen=True)
class OptionFault:
    """Options that are right one by one and wrong together. `option` is the one to blame."""

    code: str
    message: str
    option: str
    label: str
    help: str


class Options(OptionSet):
    """Something that a `train` or `export` section names, with its options.

    A subclass declares its options as fields, in the order in which they may stand without their name. Its docstring
    is its page in the language reference.
    """

    word: ClassVar[str]
    """Its name in the language."""
    example: ClassVar[str]
    """How it is written."""
    later: ClassVar[frozenset[str]] = frozenset()
    """Options that the language has and this version has not."""
    idle: ClassVar[dict[str, Any]] = {}
    """Values of `later` options that ask for nothing, and so are taken."""

    def faults(self) -> Iterator[OptionFault]:
        """What is wrong with the options taken together."""
        yield from ()


@dataclass(frozen=True)
class ReadBy:
    """Marks an option whose flow is read by a function of its own, and not as a number, word or text.

    The function gets the flow, the name of the option, the names in sight and the report; it gives a value, or FAULT
    for what it has reported.
    """

    read: Callable[[tree.Flow, str, Scope, Report], Any]
