"""Tasks that make their own examples: what a model has to be able to learn."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch import Tensor

from ..seeds import derive_seed
from . import options
from .dataset import IGNORED, Data, Split
from .draws import scatter
from .files import fingerprint_of
from .options import Options
from .windows import window_fields

KINDS = ("copy", "reverse")


class Answers(Split):
    """`length` symbols, a separator, and what is to be answered; the fields of a model that reads from the left.

        copy, length 3      tokens   a b c | a b        (2 * length of them)
                            targets  - - - a b c        (- is -100)

    The separator is the last of `vocab` tokens, the symbols are the others. Example i is the same in every epoch.
    """

    def __init__(self, kind: str, length: int, vocab: int, count: int, seed: int) -> None:
        self._turn = -1 if kind == "reverse" else 1
        self._length = length
        self._vocab = vocab
        self._count = count
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        length = self._length
        counter = ids.numpy().astype(np.uint64)[:, None] * np.uint64(length) + np.arange(length, dtype=np.uint64)
        source = (scatter(self._seed, counter) % np.uint64(self._vocab - 1)).astype(np.int64)
        answer = source[:, :: self._turn]
        tokens = np.empty((len(ids), 2 * length), np.int64)
        tokens[:, :length] = source
        tokens[:, length] = self._vocab - 1
        tokens[:, length + 1 :] = answer[:, :-1]
        targets = np.full((len(ids), 2 * length), IGNORED, np.int64)
        targets[:, length:] = answer
        return {"tokens": torch.from_numpy(tokens), "targets": torch.from_numpy(targets)}


def open_task(settings: Options, seed: int) -> Data:
    kind = options.word(settings, "kind", KINDS)
    length = options.whole_number(settings, "length")
    vocab = options.whole_number(settings, "vocab", least=3)
    examples = options.whole_number(settings, "examples", default=10_000)
    held = options.whole_number(settings, "validation", least=0, default=1_000)
    identity = json.dumps([kind, length, vocab, examples, held, seed]).encode()
    return Data(
        train=Answers(kind, length, vocab, examples, derive_seed(seed, "task", "train")),
        validation=Answers(kind, length, vocab, held, derive_seed(seed, "task", "validation")) if held else None,
        fields=window_fields(2 * length, vocab),
        fingerprint={"task": fingerprint_of(identity)},
    )
