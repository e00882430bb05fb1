"""A check makes many small objects and hardly any garbage: Python's collector would look through them over and over."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_before = False


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the collector off while something is analysed, and as it was when the last thread is done."""
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _before:
                gc.enable()
