"""A log of one JSON object a line, that a resumed run cuts back to where its checkpoint was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from .durable import failed_writes_are_told, open_own

EMPTY: Mapping[str, Any] = {"size": 0, "sha256": sha256().hexdigest()}


class Records:
    """Appends to `path`. Every checkpoint holds its `mark`: how far the log goes, and its hash until there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = 0
        self._hash = sha256()
        self._file = open_own(path)

    @property
    def mark(self) -> dict[str, Any]:
        return {"size": self._size, "sha256": self._hash.hexdigest()}

    def cut_back(self, mark: Mapping[str, Any], step: int) -> bool:
        """Drop what was written after `mark`; whether the log still was what was written.

        A log that was edited keeps its lines up to `step`: it is for reading, and no reason to refuse a run.
        """
        content = self.path.read_bytes()
        kept = content[: mark["size"]]
        whole = len(kept) == mark["size"] and sha256(kept).hexdigest() == mark["sha256"]
        if not whole:
            kept = b"".join(line for line in content.splitlines(keepends=True) if _is_until(line, step))
            os.pwrite(self._file, kept, 0)
        os.ftruncate(self._file, len(kept))
        self._size, self._hash = len(kept), sha256(kept)
        return whole

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record at once, so that the log can be followed while the run goes on. Raises DiskFull."""
        self._append(json.dumps(record, allow_nan=False).encode() + b"\n")

    def sync(self) -> None:
        with failed_writes_are_told(str(self.path)):
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def _append(self, line: bytes) -> None:
        with failed_writes_are_told(str(self.path)):
            written = 0
            while written < len(line):  # a nearly full disk takes a part, then raises
                written += os.pwrite(self._file, line[written:], self._size + written)
        self._size += len(line)
        self._hash.update(line)


def _is_until(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False
