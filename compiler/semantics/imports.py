"""`import "blocks.dlspec"` and `import std.transformer`: the files that a spec brings in, read once each.

A file brings its blocks, functions and constants, and those that it imports itself, under their own names; models and
sections stay behind. Its `default` lines hold for what is written in it, and for nothing else. `import "wavelet.py"`
brings layers written in Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...grammar import Diagnostic, Fix, Source, parse, tree
from ...grammar.frozen import Frozen
from ...grammar.reader import read
from ...grammar.source import Span
from .nearest import nearest
from .report import Report

if TYPE_CHECKING:
    from ..layers.base import Layer

NO_RULE = "no class of it has a shape rule"
"""What is said of a file of Python that has no layer."""

STD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "specs", "std")
"""The folder of the blocks that ship."""

Reader = Callable[[str], "Source | Diagnostic"]
"""Reads a file by its path; a Diagnostic says why it is no text. Raises OSError where there is none."""


class Imported(Frozen, eq=False):
    """A file that was brought in: under which name, at which place, and what it says."""

    source: Source
    file: tree.File
    place: tree.Import
    found: tuple[Diagnostic, ...] = ()
    """What the parser said of it."""
    imports: tuple[Imported, ...] = ()
    layers: Mapping[str, type[Layer]] = field(default_factory=dict)
    """Those that a file of Python holds."""
    ruleless: Mapping[str, Span] = field(default_factory=dict)
    """Its classes that are none, for they have no shape rule."""


def read_from_disk(path: str) -> Source | Diagnostic:
    from pathlib import Path

    return read(Path(path), path)


def reader_of(source: Source) -> Reader:
    """What reads the files that a spec imports: those kept with it, else those on the disk."""
    files = source.files
    if files is None:
        return read_from_disk

    def kept(path: str) -> Source:
        key = kept_name(path, source)
        if key not in files:
            raise FileNotFoundError(f"{key} was not kept with {source.name}")
        return Source(path, files[key])

    return kept


def kept_name(path: str, source: Source) -> str:
    """The name under which an imported file is kept with a spec: its path from there, `std/...` for what ships."""
    name = f"std/{os.path.basename(path)}" if is_shipped(path) else os.path.relpath(path, os.path.dirname(source.name))
    return name.replace(os.sep, "/")


@dataclass
class Importer:
    """Reads the imports of one spec, each file once however often it is asked for."""

    read: Reader
    report: Report
    allow_python: bool = False
    _known: dict[str, Imported | None] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def imports(self, source: Source, file: tree.File) -> tuple[Imported, ...]:
        """The files that `file` imports, in its order; what cannot be had is reported where it is asked for."""
        key = _key(source.name)
        self._open.append(key)
        found: list[Imported] = []
        for item in file.items:
            if isinstance(item, tree.Import):
                imported = self._import(source, item)
                if imported is None:
                    self.report.names_elsewhere = True
                elif imported not in found:
                    found.append(imported)
                else:
                    message = f"{item.what.span.text} is imported twice"
                    fixes = (Fix(item.span, ""),)
                    self.report.error(
                        "repeated-import", message, item.span, "again here", help="take it out", fixes=fixes
                    )
        self._open.pop()
        return tuple(found)

    def _import(self, source: Source, item: tree.Import) -> Imported | None:
        """The file that is asked for, or the one that was meant; None where there is none, and what is wrong is
        reported."""
        path = self._path(source, item)
        if path is None:
            return None
        key = _key(path)
        if key in self._open:
            circle = " -> ".join(os.path.basename(name) for name in [*self._open[self._open.index(key) :], key])
            self.report.error(
                "circular-import",
                f"these files import each other: {circle}",
                item.span,
                "leads back here",
                help="move what both need into a third file, and import that",
            )
            return None
        if key not in self._known:
            self._known[key] = self._load(path, item)
        return self._known[key]

    def _load(self, path: str, item: tree.Import) -> Imported | None:
        try:
            source = self.read(path)
        except (OSError, ValueError) as error:
            if path.endswith(".py") and not self.allow_python:
                self._refuse(path, item, "not run, and it cannot be read either")
                return None
            meant = self._unreadable(path, item, error)
            if meant is None or not meant.endswith(".dlspec") or _key(meant) in self._open:
                return None
            try:
                source = self.read(meant)
            except (OSError, ValueError):
                return None
        if isinstance(source, Diagnostic):
            self.report.add(source)
            return None
        if path.endswith(".py"):
            return self._python(source, item)
        file, found = parse(source)
        for diagnostic in found:
            self.report.add(diagnostic)
        return Imported(source, file, item, tuple(found), self.imports(source, file))

    def _python(self, source: Source, item: tree.Import) -> Imported:
        """The layers of a file of Python. A spec is data: the file is run only where that was allowed."""
        from ..python_layers.layer import read_layers  # few specs have any
        from ..python_layers.signature import ruleless

        if not self.allow_python:
            self._refuse(source.name, item, "not run")
        layers, found = read_layers(source, item.what.span, allowed=self.allow_python)
        for diagnostic in found:
            self.report.add(diagnostic)
        if found:
            self.report.names_elsewhere = True
        nothing = tree.File(None, (), span=source.span(0, 0))
        return Imported(source, nothing, item, layers=layers, ruleless=ruleless(source))

    def _refuse(self, path: str, item: tree.Import, label: str) -> None:
        name = os.path.basename(path)
        self.report.error(
            "python-not-allowed",
            f"{name} is a program: its layers are known only by running it, and it may do anything that you may do",
            item.what.span,
            label,
            help="read it, and where you trust it say so: the same command with `--allow-python`",
        )

    def _path(self, source: Source, item: tree.Import) -> str | None:
        """Where the file lies; None for what is no spec (reported)."""
        if isinstance(item.what, tree.Path):
            return self._shipped(item, item.what)
        name = item.what.value
        if not name.endswith((".dlspec", ".py")):
            better = f'"{name}.dlspec"'
            self.report.error(
                "no-spec",
                f'"{name}" is no spec: a spec imports files that end in .dlspec',
                item.what.span,
                "another kind of file",
                help=f"write {better}",
                fixes=(Fix(item.what.span, better),),
            )
            return None
        return os.path.normpath(os.path.join(os.path.dirname(source.name), name))

    def _shipped(self, item: tree.Import, path: tree.Path) -> str | None:
        known = shipped()
        head, *rest = path.parts
        name = ".".join(rest)
        if head == "std" and name in known:
            return os.path.join(STD, f"{name}.dlspec")
        meant = nearest(name if head == "std" else str(path), known)
        better = f"std.{meant}" if meant else f'"{"/".join(path.parts)}.dlspec"'
        listed = ", ".join(f"std.{one}" for one in known)
        self.report.error(
            "unknown-import",
            f"there is no library `{path}`",
            path.span,
            "not shipped with dlspec",
            help=f"write `{better}`" if meant or head != "std" else f"there are {listed}",
            fixes=(Fix(path.span, better),) if meant or head != "std" else (),
        )
        return os.path.join(STD, f"{meant}.dlspec") if meant else None

    def _unreadable(self, path: str, item: tree.Import, error: Exception) -> str | None:
        """Reports a file that is not there, or cannot be read; returns the path of the one that was meant, if any."""
        assert isinstance(item.what, tree.String)
        missing = isinstance(error, FileNotFoundError)
        reason = getattr(error, "strerror", None) or str(error)
        folder = os.path.dirname(path)
        beside: list[str] = []
        with suppress(OSError):
            beside = [name for name in os.listdir(folder or ".") if name.endswith((".dlspec", ".py"))]
        stem, ending = os.path.splitext(os.path.basename(path))
        stems = {name.rpartition(".")[0]: name for name in sorted(beside, key=lambda name: name.endswith(ending))}
        meant = stems.get(nearest(stem, stems) or "")
        better = f'"{os.path.join(os.path.dirname(item.what.value), meant)}"' if meant else ""
        self.report.error(
            "unknown-import",
            f"there is no file {path}" if missing else f"{path} cannot be read: {reason.lower()}",
            item.what.span,
            "beside this file" if missing and not os.path.dirname(item.what.value) else "looked for from this file on",
            help=f"write {better}" if meant else "the path is relative to the file that imports",
            fixes=(Fix(item.what.span, better),) if meant else (),
        )
        return os.path.join(folder, meant) if meant else None


def shipped() -> list[str]:
    """The libraries that `import std.name` finds."""
    try:
        return sorted(name.removesuffix(".dlspec") for name in os.listdir(STD) if name.endswith(".dlspec"))
    except OSError:
        return []


def is_shipped(path: str) -> bool:
    """Whether a file is one of those libraries."""
    return os.path.dirname(path) == STD


def all_imported(imports: tuple[Imported, ...]) -> Iterator[Imported]:
    """Every file that is brought in, those that others need before them, each once."""
    seen: set[int] = set()

    def walk(listed: tuple[Imported, ...]) -> Iterator[Imported]:
        for imported in listed:
            if id(imported) not in seen:
                seen.add(id(imported))
                yield from walk(imported.imports)
                yield imported

    yield from walk(imports)


def _key(path: str) -> str:
    return os.path.normcase(os.path.abspath(path))
