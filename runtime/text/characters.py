"""Every character of a text as a vocabulary, in the order of their code points."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .tokenizer import Decoding, Tokenizer, TokenizerError, smallest_type

_CODE_POINTS = 0x110000


class CharacterDecoding(Decoding):
    def __init__(self, characters: str) -> None:
        self._characters = characters

    def feed(self, token: int) -> str:
        return self._characters[token]

    def close(self) -> str:
        return ""


class CharacterTokenizer(Tokenizer):
    """Id = place in `characters`, each of which stands there once."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        kind = smallest_type(len(characters))
        points = code_points(characters)
        top = int(points.max(initial=0))
        self._ids = np.zeros(top + 2, kind)  # its last entry stands for all code points above `top`
        self._known = np.zeros(top + 2, bool)
        self._ids[points] = np.arange(len(characters), dtype=kind)
        self._known[points] = True

    @classmethod
    def of(cls, text: str) -> CharacterTokenizer:
        """The vocabulary of `text`: its distinct characters, sorted."""
        seen = np.zeros(_CODE_POINTS, bool)
        seen[code_points(text)] = True
        return cls("".join(map(chr, np.flatnonzero(seen).tolist())))

    @property
    def vocabulary(self) -> int:
        return len(self.characters)

    def encode_array(self, text: str) -> NDArray[np.unsignedinteger]:
        points = np.minimum(code_points(text), len(self._ids) - 1)
        known = self._known[points]
        if not known.all():
            raise self._unknown(text, int(known.argmin()))
        return self._ids[points]

    def decode(self, ids: Sequence[int]) -> str:
        self.check(ids)
        return "".join([self.characters[token] for token in ids])

    def decoding(self) -> Decoding:
        return CharacterDecoding(self.characters)

    def to_json(self) -> str:
        return json.dumps({"format": 1, "kind": "characters", "characters": self.characters})

    def _unknown(self, text: str, position: int) -> TokenizerError:
        character = text[position]
        return TokenizerError(
            f"the model does not know the character {shown(character)}, at position {position + 1} of the text",
            f"its vocabulary holds {self.vocabulary:,} characters: {ranges(self.characters)}",
        )


def code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))


def shown(character: str) -> str:
    """'q' for what can be seen, 'é' (U+00E9) beyond ASCII."""
    return repr(character) if character.isascii() else f"{character!r} (U+{ord(character):04X})"


def ranges(characters: str, most: int = 40) -> str:
    r"""`'\n' ' ' '!' 'A'-'Z'`: neighbours in Unicode are drawn together, and a long list ends in "and n more"."""
    runs: list[list[str]] = []
    for character in characters:
        if runs and ord(character) == ord(runs[-1][-1]) + 1:
            runs[-1].append(character)
        else:
            runs.append([character])
    pieces = [
        piece
        for run in runs
        for piece in ([f"{run[0]!r}-{run[-1]!r}"] if len(run) > 3 else [repr(character) for character in run])
    ]
    rest = len(pieces) - most
    return " ".join(pieces[:most]) + (f" and {rest} more" if rest > 0 else "")
