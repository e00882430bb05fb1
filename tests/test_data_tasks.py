"""Tasks: made examples, whose answers alone are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from data_cases import everything

from dlspec.runtime.data import Data, DataError, Field, open_data


def task(seed: int = 0, **options: Any) -> Data:
    settings = {"kind": "reverse", "length": 5, "vocab": 7, "examples": 200, "validation": 50, **options}
    return open_data({"source": "task", "options": settings}, base=Path(), seed=seed)


ANSWERS = {"copy": list, "reverse": lambda source: source[::-1], "sort": sorted}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_task_asks_for_the_answer_only(kind: str) -> None:
    data = task(kind=kind)
    batch = everything(data.train)
    assert data.fields["tokens"] == Field("int", (10,), 7) == data.fields["targets"]
    for tokens, targets in zip(batch["tokens"].tolist(), batch["targets"].tolist(), strict=True):
        source = tokens[:5]
        answer = ANSWERS[kind](source)
        assert all(0 <= symbol < 6 for symbol in source)
        assert tokens == [*source, 6, *answer[:-1]]
        assert targets == [-100] * 5 + answer


def test_a_task_is_a_pure_function_of_the_seed_and_the_example() -> None:
    data, more, other = task(), task(examples=1000), task(seed=1)
    ids = torch.tensor([199, 3])
    assert torch.equal(data.train.batch(0, ids)["tokens"], everything(data.train, 5)["tokens"][ids])
    assert torch.equal(data.train.batch(0, ids)["tokens"], more.train.batch(2, ids)["tokens"])
    assert not torch.equal(everything(data.train)["tokens"], everything(other.train)["tokens"])
    held = everything(data.validation)["tokens"]
    assert not torch.equal(everything(data.train)["tokens"][:50], held)
    assert data.fingerprint["task"] != other.fingerprint["task"]
    counts = torch.bincount(everything(task(examples=6000).train)["tokens"][:, :5].flatten(), minlength=7)
    assert counts[6] == 0 and bool(((counts[:6] - 5000).abs() < 5 * 5000**0.5).all())


def test_numbers_are_added() -> None:
    data = task(kind="addition", length=4, vocab=11, examples=9000, validation=1000)
    seen = {}
    for split in (data.train, data.validation):
        batch = everything(split)
        for tokens, targets in zip(batch["tokens"].tolist(), batch["targets"].tolist(), strict=True):
            a, b, c, d = tokens[:4]
            answer = [int(digit) for digit in f"{10 * a + b + 10 * c + d:03}"]
            assert tokens == [a, b, c, d, 10, *answer] and targets == [*[-100] * 4, *answer, -100]
            seen[a, b, c, d] = split
    assert len(seen) == 10_000  # each once, and what validation asks for is new


@pytest.mark.parametrize(("length", "vocab"), [(2, 3), (6, 17), (8, 11), (40, 11)])
def test_numbers_of_any_length_and_base_are_added(length: int, vocab: int) -> None:
    base, half = vocab - 1, length // 2
    batch = everything(task(kind="addition", length=length, vocab=vocab, examples=3, validation=1).train)
    for tokens, targets in zip(batch["tokens"].tolist(), batch["targets"].tolist(), strict=True):
        left, right, answer = (
            sum(digit * base**place for place, digit in enumerate(reversed(digits)))
            for digits in (tokens[:half], tokens[half:length], targets[length : length + half + 1])
        )
        assert left + right == answer
        assert targets[length + half + 1 :] == [-100] * (half - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "divide"}, "'divide' is no `kind`"),
        ({"kind": "addition", "length": 3}, "`length` is 3"),
        ({"kind": "addition", "length": 2, "vocab": 4}, "9 different additions, and 250 examples"),
        ({"vocab": 2}, "`vocab` is 2"),
        ({"length": None}, "no `length`"),
        ({"length": 2.5}, "`length` is 2.5"),
    ],
)
def test_what_tasks_refuse(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        task(**options)
