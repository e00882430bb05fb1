"""Signals that ask a training to stop: the first one kindly, the second one at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .errors import Stopped

# SIGTERM comes from schedulers, SIGINT from Ctrl-C, SIGUSR1 from schedulers that give notice of preemption.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))
SHOW_CURSOR = b"\x1b[?25h"


class StopRequest:
    """Whether a signal asked to stop, and which."""

    def __init__(self, saved: bool) -> None:
        self.saved = saved
        self.received: signal.Signals | None = None
        self.deferred = False

    def __bool__(self) -> bool:
        return self.received is not None

    def defer(self) -> None:
        """From now on the work looks at the flag; until now a signal ended it at once."""
        self.deferred = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if sys.stdout.isatty():  # a live display hid it
                os.write(sys.stdout.fileno(), SHOW_CURSOR)
            os._exit(128 + number)
        self.received = signal.Signals(number)
        if not self.deferred:
            what = "everything was saved before" if self.saved else "nothing to save"
            raise Stopped(f"stopped by {self.received.name} before the first step: {what}", saved=self.saved)


@contextmanager
def stop_requests(saved: bool) -> Iterator[StopRequest]:
    """Listen for SIGNALS; the handlers found are put back. Only the main thread can listen: elsewhere none arrives.

    `saved`: whether ending before the first step loses nothing, since an earlier session saved what there is.
    """
    request = StopRequest(saved)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    # A signal that is ignored was meant to be (SIGINT, for a job that a shell runs in the background).
    before = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, request._receive)
        yield request
    finally:
        for number, handler in before.items():
            # None: installed by something other than Python, which cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
