"""No file that leaves the machine tells where it was made."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ANYBODYS_HOME = re.compile(rb"/(?:home|Users)/[A-Za-z]\w*/|[A-Z]:\\Users\\\w")


def machine_paths() -> list[bytes]:
    """Folders that only this machine has: home, where we stand, where dlspec and Python's packages lie."""
    folders = {Path.home(), Path.cwd(), Path(__file__).resolve().parents[2], Path(sys.prefix), Path(sys.base_prefix)}
    common = {Path("/"), Path("/usr"), Path("/usr/local"), Path("/tmp")}
    return [f"{folder}/".encode() for folder in sorted(folders - common)]


def leaked_path(content: bytes, paths: list[bytes]) -> str | None:
    """The first path of this machine, or of somebody's home, in `content`."""
    for path in paths:
        if path in content:
            return path.decode(errors="replace")
    match = ANYBODYS_HOME.search(content)
    return match.group().decode(errors="replace") if match else None
