"""Finding and reading the files of a data source, which stand relative to the directory of the spec."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypedDict

from .faults import DataError

_CHUNK = 1 << 22


class Fingerprint(TypedDict):
    """What tells a file from another; `size` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class FoundFile:
    """`name` is what the spec wrote, or what its glob matched; it never gains a path of the machine."""

    name: str
    path: Path


def find_file(name: str, base: Path) -> FoundFile:
    """The one file `name`. Raises DataError with the nearest name that exists."""
    path = base / name
    if path.is_dir():
        raise DataError(f"{name} is a directory, not a file", "write the name of a file in it")
    if not path.exists():
        raise DataError(f"there is no file {name}", missing_help(name, base))
    return FoundFile(name, path)


def find_files(patterns: Sequence[str], base: Path) -> tuple[FoundFile, ...]:
    """The files of a list of names and globs: in the order of the list, those of a glob sorted, each file once."""
    if not patterns:
        raise DataError("the data names no file", 'write text("file.txt", ...) or text("folder/*.txt", ...)')
    found: dict[Path, FoundFile] = {}
    for pattern in patterns:
        for file in _matches(pattern, base):
            found.setdefault(file.path.resolve(), file)
    return tuple(found.values())


def read_file(file: FoundFile) -> bytes:
    """All of a file that is not empty."""
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from None
    if not content:
        raise DataError(f"{file.name} is empty")
    return content


def read_chunks(file: FoundFile) -> Iterator[bytes]:
    try:
        with file.path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise unreadable(file, error) from None


def fingerprint_of(content: bytes | memoryview) -> Fingerprint:
    return {"sha256": sha256(content).hexdigest(), "size": len(content)}


def fingerprint_file(file: FoundFile) -> Fingerprint:
    digest, size = sha256(), 0
    for chunk in read_chunks(file):
        digest.update(chunk)
        size += len(chunk)
    return {"sha256": digest.hexdigest(), "size": size}


def unreadable(file: FoundFile, error: OSError) -> DataError:
    return DataError(f"{file.name} cannot be read: {error.strerror or error}")


def glob_of(folder: str) -> str:
    return f"{folder.rstrip('/')}/*"


def missing_help(name: str, base: Path) -> str:
    """Where it was looked for, and the name that was probably meant."""
    folder = (base / name).parent
    where = f"looked in {folder}, since names are relative to the directory of the spec"
    if "://" in name:
        return "nothing is fetched: download it, and write where it lies"
    if name.startswith("~"):
        return f"`~` is no folder here: write `{os.path.expanduser(name)}`, or a path from the spec's directory"
    if Path(name).is_absolute():
        where = f"looked in {folder}"
    if not folder.is_dir():
        return f"{where}; that directory does not exist"
    names = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(Path(name).name, names, n=1, cutoff=0.5)
    return f"{where}; did you mean {near[0]}?" if near else where


def _matches(pattern: str, base: Path) -> list[FoundFile]:
    # A file may really be called "a[1].txt".
    if not glob.has_magic(pattern) or (base / pattern).exists():
        if (base / pattern).is_dir():
            help = f"for all files in it write {glob_of(pattern)!r}"
            raise DataError(f"{pattern} is a directory, not a file", help)
        return [find_file(pattern, base)]
    names = sorted(glob.glob(pattern, root_dir=base, recursive=True))
    files = [FoundFile(name.replace(os.sep, "/"), base / name) for name in names if (base / name).is_file()]
    if not files:
        raise DataError(f"no file matches {pattern}", f"looked from {base}, the directory of the spec")
    return files
