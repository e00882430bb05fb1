"""What stops a run through no bug of ours. Each fault says what happened, what to do about it, and its exit code."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path


class RuntimeFault(Exception):
    """A fault a user can cause or meet: never shown as a traceback.

    `message` says what is so, `help` what to do about it; `exit_code` is the process's, as the command line documents
    it: 1 the data or the run is wrong, 3 diverged, 4 disk full, 5 a proof failed, 75 and 130 stopped by a signal.
    """

    def __init__(self, message: str, help: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.exit_code = exit_code

    @property
    def each(self) -> Sequence[RuntimeFault]:
        """What it is made of, where several faults are told at once."""
        return (self,)


class Refused(RuntimeFault):
    """The run, its files, the settings or the device are not what they have to be. Nothing was changed."""


class Diverged(RuntimeFault):
    """The loss or a gradient is no longer a finite number; `evidence` is the file that holds the particulars."""

    def __init__(self, message: str, help: str = "", *, evidence: Path | None = None) -> None:
        super().__init__(message, help, exit_code=3)
        self.evidence = evidence


class DiskFull(RuntimeFault):
    """Something of the run could not be written; what was committed before is whole."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message, help, exit_code=4)


class ProofFailed(RuntimeFault):
    """Two things that have to be equal are not."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message, help, exit_code=5)


class Stopped(RuntimeFault):
    """A signal ended the run: 75 with everything saved (the same command again, or resume, goes on), else 130."""

    def __init__(self, message: str, help: str = "", *, saved: bool, step: int = 0, run: Path | None = None) -> None:
        super().__init__(message, help, exit_code=75 if saved else 130)
        self.saved = saved
        self.step = step
        self.run = run


def is_disk_full(error: BaseException) -> bool:
    """Whether a failed write failed for want of space (no space, a quota, a limit on file size).

    Libraries wrap the system's error: safetensors in a SafetensorError that says "os error 28", torch in a
    RuntimeError. The words are looked for only in those two.
    """
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError):
        return error.errno in full
    text = str(error)
    if type(error).__name__ == "SafetensorError":  # imported it would make every command load it
        return any(f"os error {number}" in text for number in full)
    return isinstance(error, RuntimeError) and ("PytorchStreamWriter failed" in text or "No space left" in text)
