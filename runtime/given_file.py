"""A file that a command is given."""

from __future__ import annotations

from pathlib import Path

from .errors import Refused


def require_file(path: Path, help: str = "") -> None:
    """Raises Refused where there is no file; `help` is what to give in place of a folder."""
    if path.is_dir():
        raise Refused(f"{path} is a folder, not a file", help)
    if not path.is_file():
        raise Refused(f"there is no file {path}")
