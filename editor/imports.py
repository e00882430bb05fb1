"""Names that a file takes from others with `import`: open documents come before files on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from ..compiler.semantics.imports import STD, read_from_disk
from ..grammar import Diagnostic, Source, parse, tree
from .index import Symbol
from .names import read_names

SPECS, PYTHON = (".dlspec",), (".py",)
SHARED = frozenset({"constant", "function", "block"})
"""What an import brings."""


@dataclass(frozen=True)
class _Read:
    """A file as it was read last: its tree, and what it gives to those that import it."""

    source: Source
    file: tree.File
    given: Mapping[str, Symbol]


@dataclass(eq=False)
class Files:
    """`opened` has the documents that an editor holds, by `key`; what was read of others is kept while its text
    stays."""

    opened: dict[str, Source] = field(default_factory=dict)
    _known: dict[str, _Read] = field(default_factory=dict)

    def read(self, path: str) -> Source | Diagnostic:
        """A file as it is in the editor, else on the disk; a Diagnostic for what is no text. Raises OSError."""
        opened = self.opened.get(key(path))
        return read_from_disk(path) if opened is None else opened

    def outside(self, file: tree.File) -> Mapping[str, Symbol]:
        """The names that the imports of a file bring into it, also those that they import themselves."""
        found: dict[str, Symbol] = {}
        for _, read in self.imported(file):
            found |= read.given
        return found

    def imported(self, file: tree.File) -> Iterator[tuple[str, _Read]]:
        """All files that a file leads to by imports, each once, under their keys; what cannot be read is left out."""
        seen: set[str] = set()
        todo = [file]
        while todo:
            for path in filter(None, map(target, _imports(todo.pop()))):
                if key(path) in seen:
                    continue
                seen.add(key(path))
                read = self._reading(path)
                if read is not None:
                    yield key(path), read
                    todo.append(read.file)

    def python(self, file: tree.File) -> Iterator[Source]:
        """The files with layers written in Python that a file leads to by imports. They are read, and never run."""
        files = [file, *(read.file for _, read in self.imported(file))]
        for path in dict.fromkeys(target(item, *PYTHON) for one in files for item in _imports(one)):
            source = None if path is None else self._text(path)
            if source is not None:
                yield source

    def _text(self, path: str) -> Source | None:
        try:
            source = self.read(path)
        except (OSError, ValueError):
            return None
        return None if isinstance(source, Diagnostic) else source

    def _reading(self, path: str) -> _Read | None:
        source = self._text(path)
        if source is None:
            return None
        known = self._known.get(key(path))
        if known is None or known.source.text != source.text:
            file, _ = parse(source)
            given = {symbol.name: symbol for symbol in read_names(file).symbols() if symbol.kind in SHARED}
            known = self._known[key(path)] = _Read(source, file, given)
        return known


def key(path: str) -> str:
    """One spelling for all paths of a file."""
    return os.path.normcase(os.path.abspath(path))


def target(item: tree.Import, *endings: str) -> str | None:
    """The path of the file that an import names: relative to its own, or one of the shipped library.

    `endings` are those that it may have, `.dlspec` where none is given.
    """
    match item.what:
        case tree.String(value=value) if value.endswith(endings or SPECS):
            return os.path.normpath(os.path.join(os.path.dirname(item.span.source.name), value))
        case tree.Path(parts=("std", *parts)) if parts:
            return os.path.join(STD, f"{'.'.join(parts)}.dlspec")
    return None


def import_of(file: tree.File, source: Source, files: Files) -> tree.Import | None:
    """The line of a file that imports another one: itself, else by way of others."""
    wanted = key(source.name)
    lines = [replace(file, items=(item,)) for item in _imports(file)]
    itself = (one for one in lines if wanted in _targets(one))
    by_others = (one for one in lines if any(wanted in _targets(read.file) for _, read in files.imported(one)))
    found = next(chain(itself, by_others), None)
    return None if found is None else next(_imports(found))


def _targets(file: tree.File) -> list[str]:
    """The keys of the files that a file imports itself."""
    paths = (target(item, *SPECS, *PYTHON) for item in _imports(file))
    return [key(path) for path in paths if path is not None]


def _imports(file: tree.File) -> Iterator[tree.Import]:
    return (item for item in file.items if isinstance(item, tree.Import))
