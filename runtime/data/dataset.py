"""The nouns: fields, splits, and the data that they make up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..text import Tokenizer, line_of
from .files import Fingerprint

IGNORED = -100
"""The target that no loss and no metric counts."""


@dataclass(frozen=True)
class Field:
    """What one example has under a name: its type ("float", "int", "bool") and dims, without the batch.

    `classes` is the number of values of an int field where they are counted from 0, `names` what they stand for. Where
    the largest number may be a mark of what does not count, such as 255 in masks, `but_last` is the number of classes
    without it.
    """

    dtype: str
    dims: tuple[int, ...]
    classes: int | None = None
    names: tuple[str, ...] | None = None
    but_last: int | None = field(default=None, compare=False)


class Split(ABC):
    """A numbered set of examples."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        """The examples `ids` (int64, on the CPU) as they are in `epoch`, stacked, on the CPU: float32, int64 or bool.

        A pure function of the seed of the data, `epoch` and `ids`: this is what makes a resumed run exact.
        """

    def in_evaluation(self) -> Split:
        """The same examples as a model is measured on: without what is drawn for training only."""
        return self


@dataclass(frozen=True)
class Data:
    """`fingerprint` is keyed by file name as it was found; what is made and not read has its source's name."""

    train: Split
    validation: Split | None
    fields: dict[str, Field]
    tokenizer: Tokenizer | None = None
    fingerprint: dict[str, Fingerprint] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What its reader has to know of it, such as what was left out; said once."""
    read: Mapping[str, Field] = field(default_factory=dict)
    """The fields as they are read, where a flow of augmentations changes them."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, of data that has a tokenizer."""
        assert self.tokenizer is not None  # the compiler has seen to that
        return line_of(self.tokenizer, ids)
