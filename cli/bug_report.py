"""The file that a bug leaves: what one needs to find it, and nothing of the user's."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from hashlib import sha256
from pathlib import Path

from .. import __version__

_PACKAGE = Path(__file__).resolve().parents[1]
_LONGEST = 300


def write_report(error: BaseException) -> Path | None:
    """Write a report into the current folder, or the one for temporary files; None where neither takes it."""
    text = report(error)
    name = f"dlspec-bug-{sha256(text.encode()).hexdigest()[:8]}.txt"  # the same bug again is the same file
    for folder in (Path(), Path(tempfile.gettempdir())):
        try:
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return folder / name
        except OSError:
            continue
        return folder / name
    return None


def report(error: BaseException) -> str:
    """Versions, the kind of error and the places it passed: no arguments, no file contents, no folders."""
    lines = [
        f"dlspec {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        f"{type(error).__name__}: {_without_folders(str(error))[:_LONGEST]}",
        "",
        *(
            f"{_place(frame.filename)}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ),
    ]
    return "\n".join(lines) + "\n"


def _place(filename: str) -> str:
    """A file of ours from the package on, one of another package from there on, any other without its folder."""
    path = Path(filename)
    if path.is_relative_to(_PACKAGE):
        return str(Path("dlspec") / path.relative_to(_PACKAGE))
    for folder in sorted(filter(None, sys.path), key=len, reverse=True):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return path.name


def _without_folders(text: str) -> str:
    for folder, short in ((Path.cwd(), "."), (Path.home(), "~")):
        if folder != Path(folder.root):
            text = text.replace(str(folder), short)
    return text
