"""Liger-Kernel's operations, where it is installed: github.com/linkedin/Liger-Kernel."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def operation(module: str, name: str) -> Callable[..., Any] | None:
    """What an autograd.Function of `liger_kernel.ops` does; None where there is none."""
    try:
        return getattr(import_module(f"liger_kernel.ops.{module}"), name).apply
    except (ImportError, AttributeError):
        return None
