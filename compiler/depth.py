"""Room for deeply nested specs: each level of braces takes several Python frames."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FRAMES = 20_000
"""Enough for a thousand levels; Python's own frames do not lie on the C stack from 3.11 on."""

_lock = threading.Lock()
_inside = 0
_before = 0


@contextmanager
def room_for_depth() -> Iterator[None]:
    """Raise the recursion limit while something compiles, and put it back when the last thread is done."""
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = sys.getrecursionlimit()
            sys.setrecursionlimit(max(_before, FRAMES))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                sys.setrecursionlimit(_before)
