"""What every tokenizer can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import RuntimeFault


class TokenizerError(RuntimeFault):
    """Text that the vocabulary cannot say, an id that it does not have, or a tokenizer file that is none."""


class Decoding(ABC):
    """Text out of ids that come one at a time: what is not yet a whole character is held back."""

    @abstractmethod
    def feed(self, token: int) -> str:
        """The text that is certain now."""

    @abstractmethod
    def close(self) -> str:
        """What was held back, with U+FFFD where it never became a character."""


class Tokenizer(ABC):
    """A fixed vocabulary of ids 0 .. `vocabulary` - 1, and the way from text to them and back."""

    @property
    @abstractmethod
    def vocabulary(self) -> int:
        """How many ids there are."""

    @abstractmethod
    def encode_array(self, text: str) -> NDArray[np.unsignedinteger]:
        """The ids of `text` in the smallest type that holds them. Raises TokenizerError."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD. Raises TokenizerError for an id that is none."""

    @abstractmethod
    def decoding(self) -> Decoding:
        """A fresh decoder of a stream of ids."""

    @abstractmethod
    def to_json(self) -> str:
        """Everything that `tokenizer_from_json` needs to make this tokenizer again, in one text."""

    def mark(self, character: str) -> int | None:
        """The token of one of the characters that are no text (`marks`), or None where it is not one token."""
        try:
            (token,) = self.encode(character)
        except (TokenizerError, ValueError):
            return None
        return token

    def encode(self, text: str) -> list[int]:
        """The ids of `text`. Raises TokenizerError."""
        return self.encode_array(text).tolist()

    def encode_lines(self, lines: Sequence[str]) -> list[NDArray[np.unsignedinteger]]:
        """The ids of each line on its own. Raises TokenizerError."""
        return [self.encode_array(line) for line in lines]

    def check(self, ids: Iterable[int]) -> None:
        """Raise TokenizerError for the first id outside of the vocabulary."""
        for token in ids:
            if not 0 <= token < self.vocabulary:
                raise TokenizerError(
                    f"there is no token {token}: the vocabulary has {self.vocabulary:,} tokens, counted from 0"
                )


def smallest_type(count: int) -> type[np.unsignedinteger]:
    """The smallest unsigned type that holds the ids of a vocabulary of `count`."""
    if count <= 1 << 8:
        return np.uint8
    return np.uint16 if count <= 1 << 16 else np.uint32


def utf_8(text: str) -> bytes:
    """The bytes of `text`. Raises TokenizerError where it has none: half of a surrogate pair is no character."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"{text[error.start]!a} at position {error.start + 1} is half of a surrogate pair, not a character"
        ) from None
