"""Operators of emitted files of kernels do on a CPU what launchers do on a GPU: those of the module that asked last.

Equal files share their operators in a process, and PyTorch keeps the first launcher that it was given. Its kernels may
be for the interpreter where these are for the compiler, or the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_launchers: dict[str, Callable[..., Any]] = {}
"""By the operator's name with its namespace: what it does on a CPU."""


def launch_on_cpu(kernels: ModuleType) -> None:
    """From now on, until another module of the same text asks."""
    for name, launch in list(vars(kernels).items()):
        if not name.startswith("launch_"):
            continue
        operator = name.removeprefix("launch_")
        qualified = f"{kernels.NAMESPACE}::{operator}"
        _launchers[qualified] = launch
        if not torch._C._dispatch_has_kernel_for_dispatch_key(qualified, "CPU"):
            getattr(kernels.operators, f"_{operator}_library").impl(operator, _call_of(qualified), "CPU")


@contextmanager
def launching_on_cpu(kernels: ModuleType) -> Iterator[None]:
    """While this lasts; then those from before again."""
    before = dict(_launchers)
    launch_on_cpu(kernels)
    try:
        yield
    finally:
        _launchers.clear()
        _launchers.update(before)


def _call_of(qualified: str) -> Callable[..., Any]:
    return lambda *given: _launchers[qualified](*given)
