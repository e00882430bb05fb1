"""Text files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..runtime.errors import Refused


def replace_text(path: Path, text: str) -> None:
    """Put `text` in the place of a file's content, or into a new file. Raises Refused, OSError.

    A link keeps pointing where it does; a file keeps its permissions.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        raise Refused(f"{path} is in the way: it is no file", "Move it away, or give another place.")
    if path.exists() and not os.access(path, os.W_OK):
        raise Refused(f"{path} may not be written")
    if not path.parent.exists():
        raise Refused(f"there is no directory {path.parent}", "Make it, or give another place.")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    number, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(fresh, mode)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where there is none. Raises Refused, OSError."""
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} is no directory", "Give a directory to write the files into.")
    folder.mkdir(parents=True, exist_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
