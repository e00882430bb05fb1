"""Tokenizers against plain Python, and through the text that a released model carries."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlspec.runtime.text import (
    ByteTokenizer,
    CharacterTokenizer,
    SubwordTokenizer,
    Tokenizer,
    TokenizerError,
    subword,
    tokenizer_from_json,
    train_subwords,
)

TEXT = "The quick brown fox jumps over the lazy dog.\n\nÜber naïve Straßen — 你好, 世界! 👋🏽 don't\tstop  now\n" * 3
# Everything that UTF-8 can say: all characters but halves of surrogate pairs.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@cache
def subwords() -> SubwordTokenizer:
    return train_subwords(TEXT, 300)


def kind_of(tokenizer: Tokenizer) -> str:
    return type(tokenizer).__name__


def streamed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    decoding = tokenizer.decoding()
    return [*(decoding.feed(token) for token in ids), decoding.close()]


@given(ANY_TEXT)
def test_characters_are_places_in_the_sorted_set(text: str) -> None:
    tokenizer = CharacterTokenizer.of(text)
    order = sorted(set(text))
    assert tokenizer.vocabulary == len(order)
    assert tokenizer.encode(text) == [order.index(character) for character in text]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(ANY_TEXT)
def test_bytes_are_utf_8(text: str) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(ANY_TEXT)
def test_subwords_say_every_text(text: str) -> None:
    assert subwords().decode(subwords().encode(text)) == text


@given(st.sampled_from(["bytes", "subwords"]), ANY_TEXT)
def test_streamed_text_is_the_text_and_holds_broken_characters_back(kind: str, text: str) -> None:
    tokenizer = ByteTokenizer() if kind == "bytes" else subwords()
    pieces = streamed(tokenizer, tokenizer.encode(text))
    assert "".join(pieces) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


@given(st.sampled_from(["bytes", "subwords"]), st.lists(st.integers(0, 255), max_size=30))
def test_streamed_nonsense_is_what_decode_makes_of_it(kind: str, ids: list[int]) -> None:
    tokenizer = ByteTokenizer() if kind == "bytes" else subwords()
    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)


def test_a_character_comes_with_its_last_byte() -> None:
    assert streamed(ByteTokenizer(), list("é👋".encode())) == ["", "é", "", "", "", "👋", ""]
    assert streamed(ByteTokenizer(), list("👋".encode()[:2])) == ["", "", "\ufffd"]


@given(st.text("ab \n\t'sé\x1c\x85\u2028\u3000", max_size=80))
def test_cut_text_has_the_tokens_of_the_whole(text: str) -> None:
    """Against the library on the uncut text; boundaries fall everywhere a cut is allowed."""
    tokenizer = subwords()
    whole = tokenizer._library.encode(text).ids
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subword, "_PIECE", 1)
        assert "".join(subword.cut(text)) == text
        assert tokenizer.encode(text) == whole


def test_long_text_is_cut() -> None:
    text = "a line of text\n" * 20_000
    assert len(list(subword.cut(text))) > 1
    assert "".join(subword.cut(text)) == text


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CharacterTokenizer.of(TEXT), subwords()], ids=kind_of)
def test_a_stored_tokenizer_is_the_same(tokenizer: Tokenizer) -> None:
    stored = tokenizer.to_json()
    again = tokenizer_from_json(stored)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.encode(TEXT) == tokenizer.encode(TEXT)
    assert again.to_json() == stored


def test_training_is_the_same_in_every_process() -> None:
    program = (
        "import sys, hashlib; from dlspec.runtime.text import train_subwords\n"
        "print(hashlib.sha256(train_subwords(sys.argv[1], 300).to_json().encode()).hexdigest(), 'torch' in sys.modules)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, TEXT],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads},
        )
        for seed, threads in (("1", "1"), ("2", "3"))
    ]
    assert all(run.returncode == 0 for run in runs), runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.endswith("False\n")  # a released model is spoken to without torch


def test_a_trained_vocabulary_is_as_large_as_asked_and_never_larger() -> None:
    assert subwords().vocabulary == 300
    assert train_subwords("abab", 1000).vocabulary == 258  # ab, abab: then nothing is left to merge
    assert subwords().encode("the quick")[0] >= 256  # merges were learned


def test_ids_have_the_smallest_type() -> None:
    assert ByteTokenizer().encode_array("a").dtype == np.uint8
    assert subwords().encode_array("a").dtype == np.uint16
    assert CharacterTokenizer.of("".join(map(chr, range(0x10000, 0x10000 + 257)))).encode_array("").dtype == np.uint16


def test_an_unknown_character_is_named_with_what_is_known() -> None:
    tokenizer = CharacterTokenizer.of("abcdef xy\n")
    with pytest.raises(TokenizerError) as fault:
        tokenizer.encode("abé")
    assert "'é' (U+00E9), at position 3" in fault.value.message
    assert "10 characters: '\\n' ' ' 'a'-'f' 'x' 'y'" in fault.value.help
    for outside in ("g", "\U0010ffff", "\ud800", "\x00"):
        with pytest.raises(TokenizerError, match="does not know"):
            tokenizer.encode(outside)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), subwords()], ids=kind_of)
def test_half_a_surrogate_pair_is_no_character(tokenizer: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"position 2 is half of a surrogate pair"):
        tokenizer.encode("a\udc80")


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CharacterTokenizer.of("ab"), subwords()], ids=kind_of)
def test_ids_outside_of_the_vocabulary_are_refused(tokenizer: Tokenizer) -> None:
    for token in (-1, tokenizer.vocabulary):
        with pytest.raises(TokenizerError, match="there is no token"):
            tokenizer.decode([token])


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "kind": "characters"}', "damaged"),
        ('{"format": 2, "kind": "bytes"}', "format 2"),
        ('{"format": 1, "kind": "unigram"}', "'unigram'"),
        ('{"format": 1, "kind": "subword", "pieces": true, "tokenizer": {}}', "no tokenizer"),
    ],
)
def test_a_stored_tokenizer_that_is_none(stored: str, message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        tokenizer_from_json(stored)


def test_too_small_for_the_bytes() -> None:
    with pytest.raises(TokenizerError, match=r"bpe\(255\) is too small"):
        train_subwords(TEXT, 255)


def test_somebody_elses_tokenizer_keeps_its_rules() -> None:
    """One that marks word starts, as SentencePiece does: cut into pieces it would mark the start of each piece."""
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models, pre_tokenizers

    words = ["▁a", "▁b", "▁", "a", "b", "\n"]
    library = Library(
        models.BPE(vocab={word: place for place, word in enumerate(words)}, merges=[("▁", "a"), ("▁", "b")])
    )
    library.pre_tokenizer = pre_tokenizers.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    library.decoder = decoders.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer = SubwordTokenizer(library.to_str())
    text = "a\nb a b"
    assert tokenizer.encode(text) == library.encode(text).ids
    assert streamed(tokenizer, tokenizer.encode(text)) == ["a", "\n", "b", " a", " b", ""]
    again = tokenizer_from_json(tokenizer.to_json())
    assert again.encode(text) == tokenizer.encode(text)
    assert json.loads(again.to_json())["pieces"] is False
