"""Text to token ids and back, without torch: what a run learns from and what a released model carries with it."""

from .bytewise import ByteTokenizer
from .characters import CharacterTokenizer
from .marks import Marks, line_of, marks_of
from .store import tokenizer_from_json
from .subword import SubwordTokenizer, train_subwords
from .tokenizer import Decoding, Tokenizer, TokenizerError

__all__ = [
    "ByteTokenizer",
    "CharacterTokenizer",
    "Decoding",
    "Marks",
    "SubwordTokenizer",
    "Tokenizer",
    "TokenizerError",
    "line_of",
    "marks_of",
    "tokenizer_from_json",
    "train_subwords",
]
