"""The templates of the Triton kernels, loaded so that the interpreter runs them or the compiler takes them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import triton.experimental.gluon  # noqa: F401 (loaded later, it would find Triton's library patched)
import triton.language as tl
from triton import knobs
from triton.language import random, standard
from triton.runtime import interpreter
from triton.runtime.jit import JITFunction

FOLDER = Path(__file__).parent.parent / "compiler" / "backends" / "triton" / "templates"


@cache
def template(name: str, *, interpreted: bool = True) -> ModuleType:
    """The module `name`. Triton decides when it decorates a function who will run it, hence a package for each way."""
    package = f"triton_templates_{'interpreted' if interpreted else 'compiled'}"
    if package not in sys.modules:
        parent = ModuleType(package)
        parent.__path__ = [str(FOLDER)]
        sys.modules[package] = parent
    with knobs.runtime.scope():
        knobs.runtime.interpret = interpreted
        return importlib.import_module(f"{package}.{name}")


@contextmanager
def interpreting() -> Iterator[None]:
    """Kernels that were loaded for the interpreter run in here, as a GPU would in bfloat16 too."""
    language = (tl, tl.core, tl.math, tl.tensor, tl.dtype, tl.core.tensor_descriptor_base)
    once = {(interpreter, "_patch_lang"): _patch_language}
    with _patched(_interpreted_library() | _bfloat16() | once), _restored(*language):
        yield


_PATCH_LANGUAGE = interpreter._patch_lang
_LANGUAGE = SimpleNamespace(__globals__={"tl": tl, "core": tl.core})


def _patch_language(_: Any) -> Any:
    """Once for a launch. The interpreter does it at each call of a function, too: a third of its time."""
    return _PATCH_LANGUAGE(_LANGUAGE) if tl.core.is_builtin(tl.load) else interpreter._LangPatchScope()


@contextmanager
def _restored(*owners: Any) -> Iterator[None]:
    """Afterwards `owners` have the attributes that they have now.

    The interpreter replaces parts of Triton's language while a kernel runs, of which the compiler would make nothing.
    """
    before = [(owner, dict(vars(owner))) for owner in owners]
    try:
        yield
    finally:
        for owner, attributes in before:
            for name, value in dict(vars(owner)).items():
                if name not in attributes:
                    delattr(owner, name)
                elif attributes[name] is not value:
                    setattr(owner, name, attributes[name])


@contextmanager
def _patched(changes: dict[tuple[Any, str], Any]) -> Iterator[None]:
    before = {(owner, name): getattr(owner, name) for owner, name in changes}
    try:
        for (owner, name), value in changes.items():
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name), value in before.items():
            setattr(owner, name, value)


@cache
def _interpreted_library() -> dict[tuple[Any, str], Any]:
    """Triton's own functions that are written in Triton: what imported them first has fixed who runs them."""
    found: dict[JITFunction[Any], Any] = {}
    changes: dict[tuple[Any, str], Any] = {}
    for module in (tl, standard, random):
        for name, value in vars(module).items():
            if isinstance(value, JITFunction):
                changes[module, name] = found.setdefault(value, interpreter.InterpretedFunction(value.fn))
    return changes


# --- bfloat16 ---
# The interpreter keeps bfloat16 as bit patterns: it multiplies them as whole numbers, and rounds toward zero.


def _floats(handle: Any) -> np.ndarray:
    if handle.dtype.scalar != tl.bfloat16:
        return handle.data
    return (handle.data.astype(np.uint32) << 16).view(np.float32)


def _dot(self: Any, a: Any, b: Any, d: Any, precision: Any, imprecise: Any) -> Any:
    product = np.matmul(_floats(a).astype(np.float32), _floats(b).astype(np.float32))
    return interpreter.TensorHandle(product + d.data, d.dtype.scalar)


@cache
def _bfloat16() -> dict[tuple[Any, str], Any]:
    builder = interpreter.InterpreterBuilder
    dot, cast = builder.create_dot, builder.create_fp_trunc

    def create_dot(self: Any, a: Any, b: Any, d: Any, precision: Any, imprecise: Any) -> Any:
        half = tl.bfloat16 in (a.dtype.scalar, b.dtype.scalar)
        return (_dot if half else dot)(self, a, b, d, precision, imprecise)

    def create_fp_trunc(self: Any, source: Any, dtype: Any) -> Any:
        if dtype.scalar != tl.bfloat16 or source.dtype.scalar != tl.float32:
            return cast(self, source, dtype)
        bits = source.data.view(np.uint32)
        even = ((bits >> 16) & 1) + np.uint32(0x7FFF)
        rounded = ((bits + even) >> 16).astype(np.uint16)
        return interpreter.TensorHandle(np.where(np.isnan(source.data), np.uint16(0x7FC0), rounded), dtype.scalar)

    return {(builder, "create_dot"): create_dot, (builder, "create_fp_trunc"): create_fp_trunc}
