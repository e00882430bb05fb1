"""A declarative compiler for neural networks: one `.dlspec` file, checked, emitted as PyTorch, trained, exported."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import check, compile, export, load, train

__version__ = "0.1.0"
__all__ = ["__version__", "check", "compile", "export", "load", "train"]

# Resolved on first use (PEP 562), so that `import dlspec` costs nothing and a check never loads torch.
_HOMES = {"check": ".api", "compile": ".api", "export": ".api", "load": ".api", "train": ".api"}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
