"""The sampler against the formula, and what it does at its edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dlspec.runtime.errors import Diverged, RuntimeFault
from dlspec.runtime.generate import choose, first_token, generate
from dlspec.runtime.text import ByteTokenizer, CharacterTokenizer, TokenizerError

LETTERS = CharacterTokenizer("abcdefgh")
LOGITS = np.array([0.3, -1.0, 2.0, 2.0, -np.inf, 0.9, 1.5, -3.0], np.float32)


def formula(logits: NDArray, temperature: float, top_k: int | None) -> list[float]:
    """softmax(logits / temperature) over the top_k best, in plain Python."""
    order = sorted(range(len(logits)), key=lambda token: (-float(logits[token]), token))
    kept = order[: top_k or len(logits)]
    weights = [math.exp(float(logits[token]) / temperature) if token in kept else 0.0 for token in range(len(logits))]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 3, 6, 8, 99])
def test_tokens_come_as_often_as_they_should(temperature: float, top_k: int | None) -> None:
    """Each has a part of [0, 1) as long as its probability, and these parts lie in order."""
    expected = formula(LOGITS, temperature, top_k)
    count = 20_000
    drawn = [choose(LOGITS, temperature, top_k, (place + 0.5) / count) for place in range(count)]
    assert drawn == sorted(drawn)
    shares = np.bincount(drawn, minlength=8) / count
    assert np.abs(shares - expected).max() <= 1 / count


def test_draws_are_even() -> None:
    pieces = "".join(generate(lambda ids: LOGITS, LETTERS, "a", 20_000, 1.0, None, seed=1))
    shares = np.array([pieces.count(letter) for letter in LETTERS.characters]) / 20_000
    expected = np.array(formula(LOGITS, 1.0, None))
    assert (np.abs(shares - expected) <= 5 * np.sqrt(expected * (1 - expected) / 20_000)).all()


@given(
    arrays(np.float32, st.integers(1, 20), elements=st.floats(-30, 30, width=32)),
    st.floats(0, 5),
    st.none() | st.integers(1, 25),
    st.floats(0, 1, exclude_max=True),
)
def test_only_the_best_are_chosen(logits: NDArray, temperature: float, top_k: int | None, draw: float) -> None:
    token = choose(logits, temperature, top_k, draw)
    better = int((logits > logits[token]).sum()) + int((logits[:token] == logits[token]).sum())
    assert better < (1 if temperature == 0 else (top_k or 25))


def test_the_last_draw_stays_in_the_vocabulary() -> None:
    assert choose(np.array([0.0, 0.0, -np.inf]), 1.0, None, math.nextafter(1, 0)) == 1
    assert choose(np.zeros(3), 1.0, 2, math.nextafter(1, 0)) == 1


def test_a_tiny_temperature_is_greedy() -> None:
    assert choose(np.array([2.0, 0.0, 1.9, 2.1]), 1e-300, None, 0.999) == 3


@pytest.mark.parametrize("logits", [[np.nan, 1.0], [1.0, np.inf], [-np.inf, -np.inf]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite(logits: list[float], temperature: float) -> None:
    with pytest.raises(Diverged, match="not finite"):
        choose(np.array(logits), temperature, None, 0.5)


def test_the_same_seed_says_the_same_and_greedy_needs_none() -> None:
    def say(seed: int, temperature: float = 1.0) -> str:
        return "".join(generate(lambda ids: np.roll(LOGITS, len(ids)), LETTERS, "a", 50, temperature, 5, seed))

    assert say(3) == say(3) != say(4)
    # Python's random.Random(3) draws 0.2379, 0.5442, 0.3699, ... in every version: this text stays.
    assert say(3)[:12] == "defgfabgdcgg"
    assert say(3, 0.0) == say(4, 0.0)
    assert say(0, 0.0)[:3] == "def"  # the first of the two best, moved on by one each time


def test_the_model_sees_the_last_tokens_and_no_more() -> None:
    seen: list[list[int]] = []

    def next_logits(ids: Sequence[int]) -> NDArray:
        seen.append(list(ids))
        return np.eye(8)[(ids[-1] + 1) % 8] * 9

    said = "".join(generate(next_logits, LETTERS, "abcd", 5, 0.0, context=3))
    assert said == "efgha"
    assert seen == [[1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6], [5, 6, 7]]
    seen.clear()
    list(generate(next_logits, LETTERS, "ab", 2, 0.0, context=None))
    assert seen == [[0, 1], [0, 1, 2]]


def test_an_empty_prompt_starts_as_after_a_new_line() -> None:
    seen: list[list[int]] = []

    def next_logits(ids: Sequence[int]) -> NDArray:
        seen.append(list(ids))
        return np.eye(256)[ord("x")]

    assert "".join(generate(next_logits, ByteTokenizer(), "", 2, 0.0)) == "xx"
    assert seen[0] == [10]
    assert first_token(CharacterTokenizer("\t\nab")) == 1
    assert first_token(LETTERS) == 0


def test_a_head_wider_than_the_vocabulary_is_cut() -> None:
    wide = np.concatenate([LOGITS, np.full(8, 99.0, np.float32)])
    assert "".join(generate(lambda ids: wide, LETTERS, "a", 2, 0.0)) == "cc"


def test_characters_come_whole_and_what_is_cut_off_is_shown() -> None:
    text = "né 👋".encode()

    def next_logits(ids: Sequence[int]) -> NDArray:
        return np.eye(256)[text[(len(ids) - 1) % len(text)]]

    assert list(generate(next_logits, ByteTokenizer(), "!", len(text), 0.0)) == ["n", "é", " ", "👋"]
    assert list(generate(next_logits, ByteTokenizer(), "!", len(text) - 1, 0.0)) == ["n", "é", " ", "\ufffd"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": 0}, "0 tokens"),
        ({"temperature": -1.0}, "temperature is -1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": 0}, "top-k is 0"),
        ({"context": 0}, "the context is 0"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    """They are refused at once, not when the first token is asked for."""
    with pytest.raises(RuntimeFault, match=message) as fault:
        generate(lambda ids: LOGITS, LETTERS, "a", **{"tokens": 3, **arguments})
    assert fault.value.exit_code == 2


def test_a_prompt_that_the_vocabulary_cannot_say() -> None:
    with pytest.raises(TokenizerError, match="does not know the character 'z'") as fault:
        generate(lambda ids: LOGITS, LETTERS, "abz", 3)
    assert fault.value.help == "its vocabulary holds 8 characters: 'a'-'h'"
