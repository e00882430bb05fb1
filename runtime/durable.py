"""Files that are there whole or not at all, also after the power went: write, fsync, rename, fsync the folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError

from .errors import DiskFull, Refused, RuntimeFault, is_disk_full

FREE_SOME_SPACE = "What was saved before is whole. Free some space, then resume the run."


def write_synced(path: Path, content: bytes) -> None:
    """Write a file that nobody reads before its name is given away."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file that others may read: they see the old one or the new one."""
    fresh = path.with_name(f"{path.name}.tmp")
    with failed_writes_are_told(str(path)):
        try:
            write_synced(fresh, content)
            os.replace(fresh, path)
        except BaseException:
            with suppress(OSError):
                fresh.unlink()
            raise
        sync(path.parent)


def open_own(path: Path) -> int:
    """A descriptor to read and write a file of the run, made where it is not there. Raises Refused.

    A link in a run directory could lead to a file of somebody else's: it is not followed.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(path, flags, 0o644)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", "It has to be a plain file, no link.") from None


def sync(path: Path) -> None:
    """Push a file's content, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_file(path: Path) -> str:
    """sha256 of a file of any size."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def failed_writes_are_told(what: str, help: str = FREE_SOME_SPACE) -> Iterator[None]:
    """Turns a write that failed into a fault: DiskFull, with `help`, for want of space, else what the system says."""
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            said = f"{what} could not be written: the disk is full ({_first_line(error)})"
            raise DiskFull(said, help) from error
        if isinstance(error, OSError | SafetensorError):
            raise RuntimeFault(f"{what} could not be written: {_first_line(error)}") from error
        raise


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
