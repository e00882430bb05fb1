"""A slip in one letter is an error, told once and in the file; it never becomes another model."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from dlspec.compiler.layers import registry
from dlspec.compiler.pipeline import Analysis, analyse
from dlspec.compiler.semantics.language import COMBINATORS, FUNCTIONS, LAYERS, RESERVED, TRAIN_KEYS
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch
ROOT = Path(__file__).resolve().parent
SPECS = [ROOT.parent / "specs" / "chargpt.dlspec", ROOT / "specs" / "wide.dlspec", ROOT / "specs" / "blocks.dlspec"]
WORD = re.compile(r'#[^\n]*|"[^"\n]*"|[A-Za-z_]\w*(?! *:)\b')
"""A word that is no label: comments and quoted texts are taken whole."""


def legal_words() -> set[str]:
    kinds = [kind for word in registry.words() if (kind := registry.find(word))]
    options = {name for kind in kinds for name in kind.options}
    others = {"pre", "post", "out", "drop", "index", "int", "bool", "text", "Adam", "AdamW", "lr", "onnx", "cosine"}
    return set(LAYERS | FUNCTIONS | COMBINATORS | RESERVED | TRAIN_KEYS) | options | others


def slips(word: str) -> set[str]:
    """One letter left out, doubled, swapped with the next, or another."""
    made = {word[:i] + word[i + 1 :] for i in range(len(word))}
    made |= {word[:i] + word[i] + word[i:] for i in range(len(word))}
    made |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    return {slip for slip in made | {f"{word}q"} if slip not in ("", word)}


def misspelt(path: Path, seed: int, count: int) -> list[tuple[str, str, str]]:
    """Texts with one slip in a word of the language: what stood there, what stands there now, and the text."""
    text = path.read_text(encoding="utf-8")
    words = [m for m in WORD.finditer(text) if m[0] in legal_words()]
    made = [
        (m[0], slip, text[: m.start()] + slip + text[m.end() :])
        for m in words
        for slip in sorted(slips(m[0]) - legal_words())
    ]
    return random.Random(seed).sample(made, min(count, len(made)))


def analysed(path: Path, text: str) -> Analysis:
    return analyse(Source(path.name, text))


@pytest.mark.parametrize(
    "path", [SPECS[0], *(pytest.param(path, marks=pytest.mark.slow) for path in SPECS[1:])], ids=lambda path: path.stem
)
def test_a_slip_in_a_word_of_the_language_is_an_error(path: Path) -> None:
    assert not analysed(path, path.read_text(encoding="utf-8")).failed
    for word, slip, text in misspelt(path, 0, 250):
        found = analysed(path, text)
        errors = [d for d in found.diagnostics if d.severity == "error"]
        assert errors, f"`{word}` as `{slip}` passes"
        messages = {d.message for d in errors}
        assert len(messages) <= 2, f"`{word}` as `{slip}`: {messages}"
        for finding in errors:
            assert 0 <= finding.span.start <= finding.span.end <= len(text)
        said = " ".join(f"{d.message} {d.span.text} {d.help}" for d in errors)
        assert slip in said or word in said, f"`{word}` as `{slip}` is not named: {said}"
