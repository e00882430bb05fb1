"""Texts drawn at random: none makes the parser, the formatter or the compiler fall, and every error has its place.

A valid text reads back from its own layout as the same tree, and laying it out again changes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from grammar_trees import Drawer, respaced

from dlspec.cli.codes import read_codes
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Diagnostic, Source, format, parse, render
from dlspec.grammar.reader import decode

pytestmark = pytest.mark.no_torch
ROOT = Path(__file__).resolve().parent
NOWHERE = Source("nowhere", "")
CODES = read_codes()

SPECS = [
    path.read_text(encoding="utf-8")
    for folder in (ROOT.parent / "specs", ROOT / "grammar", ROOT.parent.parent / "shared" / "design" / "specs")
    for path in sorted(folder.rglob("*.dlspec"))
]
# Items of these specs: a fault in a small text says as much as in a large one.
ITEMS = [f"dlspec 1\n{item}\n" for text in SPECS for item in text.split("\n\n")[1:] if item.strip()]
SIGNS = "( ) [ ] { } -> => = == : , . + - * / // % ^ < <= ; \" ' # /* */ \\ ! & | @ ? ` $ ...".split()
WORDS = (
    "if else as true false none None block model train export import default phase dlspec for x T Linear 1 5% 1e9 0x1"
)
SPACES = [" ", "\n", "\r\n", "\t", "\n\n  ", " ", "", "\r", "\x0b", "\0", "\ufeff", "\u200b"]
LETTERS = ["é", "ζ", "а", "１", "²", "𝔸", "“", "–", "×", "（"]
PIECES = [*SIGNS, *(f" {word} " for word in WORDS.split()), *SPACES, *LETTERS]


def drawn(draw: random.Random) -> str:
    return format(Drawer(draw, draw.randrange(1, 4), most=3).file(), NOWHERE)


def drawn_and_respaced(draw: random.Random) -> str:
    return respaced(drawn(draw), draw)


def broken_off(draw: random.Random) -> str:
    text = draw.choice([*ITEMS, *SPECS])
    cut = draw.randrange(len(text) + 1)
    return text[:cut] if draw.random() < 0.7 else f"dlspec 1\n{text[cut:]}"


def edited(draw: random.Random) -> str:
    text = draw.choice(ITEMS)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(text) + 1)
        text = text[:at] + (draw.choice(PIECES) if draw.random() < 0.7 else "") + text[at + draw.randrange(3) :]
    return text


def spliced(draw: random.Random) -> str:
    """Lines of several specs after one another, and now and then a line twice or in two halves."""
    lines = [line for _ in range(3) for line in draw.choice(ITEMS).splitlines()[1:]]
    draw.shuffle(lines)
    return "\n".join(["dlspec 1", *lines[: draw.randint(1, 12)]])


def pieces(draw: random.Random) -> str:
    return "dlspec 1\n" + "".join(draw.choices(PIECES, k=draw.randint(1, 25)))


def bytes_(draw: random.Random) -> str:
    """What is left of random bytes where they are a text, mostly of the letters that specs have."""
    few = bytes(range(9, 127)) if draw.random() < 0.8 else bytes(range(256))
    found = decode(bytes(draw.choices(few, k=draw.randint(0, 60))), "random.dlspec")
    if isinstance(found, Diagnostic):
        check_place(found, found.span.source.text)
        return ""
    return found.text


# A kind of text, and how many of a hundred are of it.
KINDS: dict[str, tuple[Callable[[random.Random], str], int]] = {
    "drawn from the grammar": (drawn, 15),
    "drawn and spaced otherwise": (drawn_and_respaced, 5),
    "real specs that break off": (broken_off, 15),
    "real specs with random edits": (edited, 30),
    "lines of real specs, shuffled": (spliced, 10),
    "signs, words and characters": (pieces, 15),
    "random bytes": (bytes_, 10),
}


def check_place(found: Diagnostic, text: str) -> None:
    """A finding can be shown and explained, and stands in the text."""
    assert found.span.source.text == text
    for span in (found.span, *(span for span, _ in found.labels), *(fix.span for fix in found.fixes)):
        assert 0 <= span.start <= span.end <= len(span.source.text)
    assert found.code in CODES
    assert found.message and render(found) and found.as_json()["line"] >= 1


def check_text(text: str) -> bool:
    """Reads a text and, if it has no fault, lays it out twice. Whether it has none."""
    source = Source("fuzz.dlspec", text)
    file, found = parse(source)
    assert [d.span.start for d in found] == sorted(d.span.start for d in found)
    for finding in found:
        check_place(finding, text)
    if found:
        return False
    once = format(file, source)
    again = Source("once.dlspec", once)
    read, faults = parse(again)
    assert (read, faults) == (file, [])
    assert format(read, again) == once
    return True


def attempt(kind: str, count: int, check: Callable[[str], bool]) -> int:
    """How many of `count` texts of a kind have no fault; the text that fails is told."""
    make, valid = KINDS[kind][0], 0
    for seed in range(count):
        text = make(random.Random(f"{kind} {seed}"))
        try:
            valid += check(text)
        except Exception as error:
            raise AssertionError(f"{kind}, text {seed}: {text!r}") from error
    return valid


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_is_read_or_refused(kind: str) -> None:
    valid = attempt(kind, 12 * KINDS[kind][1], check_text)
    assert valid or not kind.startswith("drawn")


def check_meaning(text: str) -> bool:
    analysis = analyse(Source("fuzz.dlspec", text))
    for finding in analysis.diagnostics:
        check_place(finding, text)
    return not analysis.failed


@pytest.mark.parametrize("kind", ["real specs that break off", "real specs with random edits"])
def test_the_compiler_takes_any_text(kind: str) -> None:
    attempt(kind, 60, check_meaning)


@pytest.mark.slow
def test_a_hundred_thousand_texts(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for kind, (_, share) in KINDS.items():
        count = 1000 * share
        valid = attempt(kind, count, check_text)
        told.append(f"  {count:6,} {kind}, {valid:,} of them without a fault")
    with capsys.disabled():
        print("\n" + "\n".join(told))
    assert sum(share for _, share in KINDS.values()) == 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["real specs that break off", "real specs with random edits", "drawn from the grammar"]
)
def test_the_compiler_takes_thousands_of_texts(kind: str) -> None:
    attempt(kind, 3_000, check_meaning)
