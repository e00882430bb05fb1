"""Pieces of words as a vocabulary: byte-level BPE trained on a text, or a tokenizer.json that somebody else made.

Byte-level BPE: Sennrich et al. 2016, over the bytes of UTF-8 as in Radford et al. 2019. `tokenizers` does the work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .tokenizer import Decoding, Tokenizer, TokenizerError, smallest_type, utf_8

_HELD = "\ufffd"
# One newline between two visible characters is a token boundary of its own for the GPT-2 pre-tokenizer: cut there,
# a text has the same tokens as in one piece.
_BOUNDARY = re.compile(r"(?<=\S\n)(?=\S)")
_PIECE = 1 << 16
# NUL, start of text and end of text as byte-level BPE spells them.
_MARKS = {"\0": "Ā", "\2": "Ă", "\3": "ă"}
# What tokenizers of others call them.
_NAMES = {
    "\0": ("<pad>", "[PAD]", "<|pad|>", "<blank>"),
    "\2": ("<s>", "<bos>", "[BOS]", "[CLS]", "<|startoftext|>"),
    "\3": ("</s>", "<eos>", "[EOS]", "[SEP]", "<|endoftext|>"),
}


class SubwordDecoding(Decoding):
    """Decodes what is not yet out together with the piece before it, which a decoder may need for its spaces."""

    def __init__(self, tokenizer: SubwordTokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._settled = 0  # ids before this one are out as text

    def feed(self, token: int) -> str:
        self._ids.append(token)
        fresh = self._fresh()
        if not fresh or fresh.endswith(_HELD):
            return ""
        self._ids = self._ids[self._settled :]
        self._settled = len(self._ids)
        return fresh

    def close(self) -> str:
        fresh = self._fresh()
        self._ids, self._settled = [], 0
        return fresh

    def _fresh(self) -> str:
        known = self._tokenizer.decode(self._ids[: self._settled])
        return self._tokenizer.decode(self._ids)[len(known) :]


class SubwordTokenizer(Tokenizer):
    """A tokenizer of the `tokenizers` library, kept as its own JSON. Special tokens are never put in."""

    def __init__(self, definition: str, *, in_pieces: bool = False) -> None:
        from tokenizers import Tokenizer as Library

        try:
            self._library = Library.from_str(definition)
        except Exception as error:  # the library raises plain Exception for every fault of a file
            raise TokenizerError(
                f"this is no tokenizer of the `tokenizers` library: {error}",
                "save one with `tokenizer.save(...)`, or with `save_pretrained(...)` of transformers",
            ) from None
        self._library.no_truncation()
        self._library.no_padding()
        self._in_pieces = in_pieces
        self._vocabulary = 1 + max(self._library.get_vocab(with_added_tokens=True).values(), default=-1)

    @property
    def vocabulary(self) -> int:
        return self._vocabulary

    def encode_array(self, text: str) -> NDArray[np.unsignedinteger]:
        utf_8(text)
        pieces = list(cut(text)) if self._in_pieces else [text]
        return np.concatenate([np.zeros(0, smallest_type(self._vocabulary)), *self.encode_lines(pieces)])

    def encode_lines(self, lines: Sequence[str]) -> list[NDArray[np.unsignedinteger]]:
        try:
            encodings = self._library.encode_batch_fast(list(lines), add_special_tokens=False)
        except Exception as error:
            raise TokenizerError(f"this text cannot be tokenized: {error}") from None
        return [np.array(encoding.ids, smallest_type(self._vocabulary)) for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        self.check(ids)
        return self._library.decode(list(ids), skip_special_tokens=False)

    def mark(self, character: str) -> int | None:
        """In a vocabulary of our own its byte; in another the token that is usually called so."""
        if self._in_pieces:
            return super().mark(character)
        found = (self._library.token_to_id(name) for name in _NAMES[character])
        return next((token for token in found if token is not None), None)

    def decoding(self) -> Decoding:
        return SubwordDecoding(self)

    def to_json(self) -> str:
        definition = json.loads(self._library.to_str())
        return json.dumps(
            {"format": 1, "kind": "subword", "pieces": self._in_pieces, "tokenizer": definition}, ensure_ascii=False
        )


def train_subwords(text: str, size: int, *, marked: bool = False) -> SubwordTokenizer:
    """Byte-level BPE with at most `size` tokens (fewer where `text` has no more pairs to merge): the same for the
    same text, always. `marked` puts the bytes that are marks first, so that token 0 is no text. Raises TokenizerError.
    """
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if size < len(alphabet):
        raise TokenizerError(
            f"bpe({size}) is too small: the {len(alphabet)} bytes come first", f"write bpe({len(alphabet)}) or more"
        )
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    library.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=alphabet,
        special_tokens=[*_MARKS.values()] if marked else [],
        show_progress=False,  # pyright: ignore[reportCallIssue]
    )
    library.train_from_iterator(cut(text), trainer)
    definition = json.loads(library.to_str())
    definition["added_tokens"] = []  # else the letter of a mark would be the mark, wherever a text has it
    return SubwordTokenizer(json.dumps(definition), in_pieces=True)


def cut(text: str) -> Iterator[str]:
    """`text` in pieces of 64 K characters and more, between lines where no token is cut in two."""
    start = 0
    while start < len(text):
        boundary = _BOUNDARY.search(text, start + _PIECE)
        end = boundary.start() if boundary else len(text)
        yield text[start:end]
        start = end
