"""The tokenizer that a source of text asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..text import ByteTokenizer, CharacterTokenizer, SubwordTokenizer, Tokenizer, TokenizerError, train_subwords
from . import options
from .faults import DataError
from .files import Fingerprint, find_file, fingerprint_of, read_file
from .utf8 import decoded

_KINDS = ("bytes", "characters", "bpe", "file")


def make_tokenizer(
    settings: Any,
    known: Callable[[], str],
    learned: Callable[[], str],
    base: Path,
    fingerprint: dict[str, Fingerprint],
    *,
    marked: bool = False,
) -> Tokenizer:
    """`known` is the text whose characters are a vocabulary, `learned` that from which bpe learns; `marked` keeps
    token 0 of bpe free of text (`train_subwords`). Notes the fingerprint of a tokenizer's file. Raises DataError."""
    settings = settings or {"kind": "bytes"}
    kind = options.word(settings if isinstance(settings, dict) else {"kind": settings}, "kind", _KINDS)
    if kind == "bytes":
        return ByteTokenizer()
    if kind == "characters":
        return CharacterTokenizer.of(known())
    try:
        if kind == "bpe":
            return train_subwords(learned(), options.whole_number(settings, "size"), marked=marked)
        file = find_file(options.path(settings, "path"), base)
        content = read_file(file)
        fingerprint[file.name] = fingerprint_of(content)
        return SubwordTokenizer(decoded(file, content))
    except TokenizerError as error:
        where = f"{settings['path']}: " if kind == "file" else ""
        raise DataError(where + error.message, error.help) from None
