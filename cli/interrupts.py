"""Ctrl-C while there is nothing to save, and while libraries are loaded."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from ..runtime.errors import RuntimeFault
from .console import Console

INTERRUPTED = 130


def stopped() -> RuntimeFault:
    """What a command that is interrupted before it has anything to save says."""
    return RuntimeFault("stopped; there was nothing to save", exit_code=INTERRUPTED)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or was raised from it: Python 3.11 wraps what comes up while a class is made."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False


def end_while_loading(console: Console) -> None:
    """From now on SIGINT ends the process where PyTorch is being loaded, and raises KeyboardInterrupt elsewhere.

    An exception that comes up while PyTorch's C++ half calls Python to set itself up aborts the process with
    "terminate called after throwing". What listens otherwise, or ignores the signal, is left as it is.
    """

    def receive(number: int, frame: FrameType | None) -> None:
        spec = getattr(sys.modules.get("torch"), "__spec__", None)
        if getattr(spec, "_initializing", False):
            console.fault(stopped())
            os._exit(console.close(INTERRUPTED))
        signal.default_int_handler(number, frame)

    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, receive)
