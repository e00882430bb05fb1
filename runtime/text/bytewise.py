"""The 256 bytes of UTF-8 as a vocabulary: it can say everything and learns nothing."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .tokenizer import Decoding, Tokenizer, utf_8


class ByteDecoding(Decoding):
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        return self._decoder.decode(bytes((token,)))

    def close(self) -> str:
        return self._decoder.decode(b"", final=True)


class ByteTokenizer(Tokenizer):
    """Id = byte."""

    @property
    def vocabulary(self) -> int:
        return 256

    def encode_array(self, text: str) -> NDArray[np.unsignedinteger]:
        return np.frombuffer(utf_8(text), np.uint8)

    def decode(self, ids: Sequence[int]) -> str:
        self.check(ids)
        return bytes(ids).decode("utf-8", "replace")

    def decoding(self) -> Decoding:
        return ByteDecoding()

    def to_json(self) -> str:
        return json.dumps({"format": 1, "kind": "bytes"})
