"""Tasks that make their own examples: what a model has to be able to learn."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..seeds import derive_seed
from . import options
from .dataset import IGNORED, Data, Split
from .draws import permutation, scatter
from .faults import DataError
from .files import fingerprint_of
from .options import Options
from .windows import window_fields

Symbols = NDArray[np.int64]

LISTED = 1 << 20
"""Up to so many different additions there are, their order is drawn, and none comes twice. Of more, each example is
drawn by itself, and two are hardly ever the same."""


class Answers(Split):
    """`length` symbols, a separator, and what is to be answered; the fields of a model that reads from the left.

        copy, length 3      tokens   a b c | a b        (2 * length of them)
                            targets  - - - a b c        (- is -100)

    The separator is the last of `vocab` tokens, the symbols are the others. Example i is the same in every epoch.
    Behind an answer that is shorter than `length` the separator stands again, and nothing is asked.
    """

    def __init__(self, kind: str, length: int, vocab: int, count: int, draw: Callable[[Symbols], Symbols]) -> None:
        self._answer = ANSWERS[kind]
        self._length = length
        self._vocab = vocab
        self._count = count
        self._draw = draw

    def __len__(self) -> int:
        return self._count

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        length, separator = self._length, self._vocab - 1
        source = self._draw(ids.numpy())
        answer = self._answer(source, separator)
        asked = answer.shape[1]
        tokens = np.full((len(ids), 2 * length), separator, np.int64)
        tokens[:, :length] = source
        tokens[:, length + 1 : length + 1 + asked] = answer[:, : length - 1]
        targets = np.full((len(ids), 2 * length), IGNORED, np.int64)
        targets[:, length : length + asked] = answer
        return {"tokens": torch.from_numpy(tokens), "targets": torch.from_numpy(targets)}


def open_task(settings: Options, seed: int) -> Data:
    kind = options.word(settings, "kind", tuple(ANSWERS))
    length = options.whole_number(settings, "length")
    vocab = options.whole_number(settings, "vocab", least=3)
    examples = options.whole_number(settings, "examples", default=10_000)
    held = options.whole_number(settings, "validation", least=0, default=1_000)
    if kind == "addition" and length % 2:
        raise DataError(f"`length` is {length}", "two numbers that are added have an even number of digits together")
    draws = _draws(kind, length, vocab - 1, examples, held, seed)
    identity = json.dumps([kind, length, vocab, examples, held, seed]).encode()
    train, validation = (
        Answers(kind, length, vocab, count, draw) for count, draw in zip((examples, held), draws, strict=True)
    )
    return Data(
        train=train,
        validation=validation if held else None,
        fields=window_fields(2 * length, vocab),
        fingerprint={"task": fingerprint_of(identity)},
    )


def _draws(
    kind: str, length: int, symbols: int, examples: int, held: int, seed: int
) -> tuple[Callable[[Symbols], Symbols], Callable[[Symbols], Symbols]]:
    """The symbols of an example, of training and of validation."""
    known = symbols ** min(length, 64)
    if kind == "addition" and known <= LISTED:
        if examples + held > known:
            message = f"there are {known:,} different additions, and {examples + held:,} examples"
            raise DataError(message, f"take {known:,} at most, of training and validation together")
        order = permutation(derive_seed(seed, "task"), known)
        places = symbols ** np.arange(length - 1, -1, -1)
        return (
            lambda ids: order[ids][:, None] // places % symbols,
            lambda ids: order[ids + examples][:, None] // places % symbols,
        )
    return (
        _random(derive_seed(seed, "task", "train"), length, symbols),
        _random(derive_seed(seed, "task", "validation"), length, symbols),
    )


def _random(seed: int, length: int, symbols: int) -> Callable[[Symbols], Symbols]:
    def draw(ids: Symbols) -> Symbols:
        counter = ids.astype(np.uint64)[:, None] * np.uint64(length) + np.arange(length, dtype=np.uint64)
        return (scatter(seed, counter) % np.uint64(symbols)).astype(np.int64)

    return draw


def _sum(source: Symbols, base: int) -> Symbols:
    """The digits of the sum of both halves, one more than each has."""
    left, right = np.split(source, 2, axis=1)
    digits = left + right
    result = np.zeros((len(source), digits.shape[1] + 1), np.int64)
    result[:, 1:] = digits
    for place in range(digits.shape[1], 0, -1):
        carry = result[:, place] >= base
        result[carry, place] -= base
        result[carry, place - 1] += 1
    return result


ANSWERS: dict[str, Callable[[Symbols, int], Symbols]] = {
    "copy": lambda source, symbols: source,
    "reverse": lambda source, symbols: source[:, ::-1],
    "sort": lambda source, symbols: np.sort(source, axis=1),
    "addition": _sum,
}
