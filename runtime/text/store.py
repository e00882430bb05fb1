"""A tokenizer out of the one text that it was kept as."""

from __future__ import annotations

import json

from .bytewise import ByteTokenizer
from .characters import CharacterTokenizer
from .subword import SubwordTokenizer
from .tokenizer import Tokenizer, TokenizerError


def tokenizer_from_json(text: str) -> Tokenizer:
    """What `Tokenizer.to_json` wrote. Raises TokenizerError."""
    try:
        stored = json.loads(text)
        form, kind = stored["format"], stored["kind"]
        if form == 1 and kind == "bytes":
            return ByteTokenizer()
        if form == 1 and kind == "characters":
            return CharacterTokenizer(stored["characters"])
        if form == 1 and kind == "subword":
            return SubwordTokenizer(json.dumps(stored["tokenizer"]), in_pieces=stored["pieces"])
    except (ValueError, KeyError, TypeError) as error:
        raise TokenizerError(f"the stored tokenizer is damaged: {error!r}") from None
    raise TokenizerError(
        f"this version of dlspec does not know the stored tokenizer (kind {kind!r}, format {form!r})",
        "it was written by a newer dlspec: update dlspec",
    )
