"""Windows over one long row of tokens: the fields `tokens` and `targets`, which are the tokens one place further on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..seeds import derive_seed
from .dataset import IGNORED, Field, Split

Tokens = NDArray[np.unsignedinteger]


def window_fields(window: int, classes: int) -> dict[str, Field]:
    return {"tokens": Field("int", (window,), classes), "targets": Field("int", (window,), classes)}


class TrainingWindows(Split):
    """Windows side by side from an offset that each epoch draws anew.

    Within an epoch no token is asked for twice, and only the ends, fewer than two windows of them, are left out: the
    room that the offset has. Their number is the same in every epoch.
    """

    def __init__(self, tokens: Tokens, window: int, seed: int) -> None:
        self._tokens = tokens
        self._window = window
        self._seed = seed
        self._count = max(1, (len(tokens) - window) // window)

    def __len__(self) -> int:
        return self._count

    def offset(self, epoch: int) -> int:
        """Where the first window of `epoch` starts."""
        slack = len(self._tokens) - 1 - self._count * self._window
        return derive_seed(self._seed, "offset", epoch) % (slack + 1)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        step = self._tokens.strides[0]
        # A row reaches one token into the next one: the last target of a window is the first token after it.
        windows = np.lib.stride_tricks.as_strided(
            self._tokens[self.offset(epoch) :],
            (self._count, self._window + 1),
            (self._window * step, step),
            writeable=False,
        )
        rows = windows[ids.numpy()]
        return {
            "tokens": torch.from_numpy(rows[:, :-1].astype(np.int64)),
            "targets": torch.from_numpy(rows[:, 1:].astype(np.int64)),
        }


class ValidationWindows(Split):
    """Windows side by side from the first token: every token but the first is asked for exactly once.

    The last window is moved back to end with the text, and what the one before has asked is not asked again. Where
    there is less than one window, token 0 fills it behind the text, and is not asked for.
    """

    def __init__(self, tokens: Tokens, window: int) -> None:
        self._tokens = tokens
        self._window = window

    def __len__(self) -> int:
        return -(-(len(self._tokens) - 1) // self._window)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        first = ids.numpy() * self._window
        end = len(self._tokens) - 1
        starts = np.clip(first, 0, max(0, end - self._window))
        places = starts[:, None] + np.arange(self._window + 1)
        rows = self._tokens[np.minimum(places, end)].astype(np.int64)
        rows[places > end] = 0
        asked = (places[:, 1:] > first[:, None]) & (places[:, 1:] <= end)
        return {
            "tokens": torch.from_numpy(rows[:, :-1].copy()),
            "targets": torch.from_numpy(np.where(asked, rows[:, 1:], IGNORED)),
        }
