"""What a model draws (`normal`), alike on both sides of a proof: else the difference of two draws would be allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_SEED = 0


@contextmanager
def drawing_alike() -> Iterator[None]:
    """While it lasts PyTorch draws what it draws each time that this is entered; after it, as if this had not been."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        yield


class SingleDraws(TorchFunctionMode):
    """While it lasts a model in float64 draws the numbers of one in float32: PyTorch's generator gives others else."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.randn and given.get("dtype") == torch.float64:
            return func(*args, **{**given, "dtype": torch.float32}).double()
        return func(*args, **given)
