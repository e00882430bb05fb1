"""Files in folders, a folder for each class."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .faults import DataError
from .files import FoundFile, missing_help, unreadable
from .options import Options


@dataclass(frozen=True)
class Sort:
    """What lies in the folders: `one` of `many` files that end in `suffixes`; `example` is the path of one, and `help`
    what to do with a file that is none."""

    one: str
    many: str
    suffixes: tuple[str, ...]
    example: str
    help: str = "take it out"


def find_class_folders(
    name: str, base: Path, sort: Sort, like: tuple[str, Sequence[str]] | None = None
) -> Iterator[tuple[str, list[FoundFile]]]:
    """Each class with its files, both by name. Raises DataError for what has no place there.

    With `like`, the name of another folder and its classes, there is none that is not among those.
    """
    path, name = base / name, name.rstrip("/")
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else ""
        raise DataError(
            f"{name} {what}" if what else f"there is no folder {name}", "" if what else missing_help(name, base)
        )
    classes = _classes(path, name, sort)
    for one in classes:
        if like is not None and one not in like[1]:
            near = difflib.get_close_matches(one, like[1], n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(like[1])}"
            raise DataError(f"{name} has a folder {one}, and {like[0]} has no class of that name", hint)
    for one in classes:
        yield one, _files(path / one, f"{name}/{one}", sort)


def require_classes(settings: Options, name: str, classes: Sequence[str]) -> None:
    """Raises DataError where there are more or fewer classes than the spec says."""
    said, there = settings.get("classes"), len(classes)
    if said is not None and said != there:
        listed = ", ".join(classes[:8]) + (f" and {there - 8} more" if there > 8 else "")
        raise DataError(
            f"`classes` is {said}, and {name} has {there} folders: {listed}",
            f"write classes = {there}, or leave it out",
        )


def _classes(path: Path, name: str, sort: Sort) -> list[str]:
    entries = _entries(path, name)
    for entry in entries:
        if not entry.is_dir():
            raise DataError(
                f"{name}/{entry.name} lies beside the folders of classes, in none of them",
                "put it into the folder of its class, or take it out",
            )
    if not entries:
        raise DataError(f"{name} has no folders", f"give each class a folder of its own: {sort.example}")
    return [entry.name for entry in entries]


def _files(path: Path, name: str, sort: Sort) -> list[FoundFile]:
    entries = _entries(path, name)
    for entry in entries:
        if entry.is_dir():
            raise DataError(
                f"{name}/{entry.name} is a folder inside a class", f"put its {sort.many} into the class, or take it out"
            )
        if not entry.name.lower().endswith(sort.suffixes):
            raise DataError(f"{name}/{entry.name} is no {sort.one}: those end in {', '.join(sort.suffixes)}", sort.help)
    if not entries:
        raise DataError(f"the class {path.name} has no {sort.many}: {name} is empty", "put some in, or take it out")
    return [FoundFile(f"{name}/{entry.name}", Path(entry.path)) for entry in entries]


def _entries(path: Path, name: str) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name, but for what systems hide there."""
    try:
        return sorted((one for one in os.scandir(path) if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        raise unreadable(FoundFile(name, path), error) from None
