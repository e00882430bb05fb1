"""A folder of files that comes into being whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..durable import failed_writes_are_told, sync
from ..errors import Refused
from .report import REPORT


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write into; its files go to `target` when the block ends well.

    When it does not, nothing is left of them, nor of folders that were made for them, and files that lay in `target`
    are as they were. Raises Refused where `target` holds a link or a folder by the name of a new file, and a
    RuntimeFault where something cannot be written.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise Refused(f"{target} is no directory", "Give a directory to write the files into.")
    made = [folder for folder in target.parents if not folder.exists()]
    fresh = target.parent / f".{target.name}.{os.getpid()}.tmp"
    try:
        with failed_writes_are_told(f"the files for {target}"):
            fresh.mkdir(parents=True)
            yield fresh
            _settle(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _settle(fresh: Path, target: Path) -> None:
    names = sorted((file.name for file in fresh.iterdir()), key=lambda name: (name == REPORT, name))
    for name in names:
        sync(fresh / name)
    if not target.exists():
        os.rename(fresh, target)
        sync(target.parent)
        return
    for name in names:
        if (target / name).is_symlink() or (target / name).is_dir():
            raise Refused(f"{target / name} is in the way: no link and no directory is replaced", "Move it away.")
    # The report comes last: where it fits the files beside it, all of them arrived.
    for name in names:
        os.replace(fresh / name, target / name)
    sync(target)
    fresh.rmdir()
