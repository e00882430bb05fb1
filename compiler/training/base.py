"""What all option classes of training share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from ...grammar import tree
from ...grammar.frozen import Frozen
from ..options import OptionSet
from ..semantics.evaluate import Scope
from ..semantics.report import Report


class OptionFault(Frozen):
    """Options that are right one by one and wrong together. `option` is the one to blame, None where it is missing."""

    code: str
    message: str
    option: str | None
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
    runs: ClassVar[bool] = True
    """Whether this version can do it; what it cannot is checked all the same, and noted."""
    later: ClassVar[frozenset[str]] = frozenset()
    """Options that this version checks, and can only do where they are as if they were left out."""
    spellings: ClassVar[dict[str, str]] = {}
    """What other tools call its options -> what they are called here (see `given_arguments`)."""

    def faults(self) -> Iterator[OptionFault]:
        """What is wrong with the options taken together."""
        yield from ()

    def missing(self) -> Iterator[tuple[str, str | None]]:
        """What of it this version cannot do, in words, and the option that asks for it, None for all of it."""
        if not self.runs:
            yield f"`{self.word}`", None
            return
        for name in sorted(self.later):
            if not _alike(getattr(self, name), self.options[name].default):
                yield f"`{name}` of `{self.word}`", name

    @property
    def runnable(self) -> bool:
        return next(self.missing(), None) is None


def _alike(value: object, default: object) -> bool:
    """Whether an option is as if it were left out; numbers remember how they were written, defaults are plain."""
    return getattr(value, "value", value) == default


class ReadBy(Frozen):
    """Marks an option whose flow is read by a function of its own, and not as a number, word or text.

    The function gets the flow, the name of the option, the names in sight and the report; it gives a value, or FAULT
    for what it has reported. `words` are the bare words that it takes.
    """

    read: Callable[[tree.Flow, str, Scope, Report], Any]
    words: frozenset[str] = frozenset()
