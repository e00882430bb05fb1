"""Names that a file takes from others with `import`: open documents come before files on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..grammar import Source, parse, tree
from ..grammar.reader import read
from .index import Symbol
from .names import read_names

STD = Path(__file__).parent.parent / "specs" / "std"
"""Where the shipped library lies."""

_SHARED = frozenset({"constant", "function", "block"})


@dataclass(eq=False)
class Files:
    """`opened` has the documents that an editor holds, by path; what was read is kept while its text stays."""

    opened: dict[Path, Source] = field(default_factory=dict)
    _names: dict[Path, tuple[str, dict[str, Symbol]]] = field(default_factory=dict)

    def read(self, path: Path) -> Source | None:
        """The text of a file as it is in the editor, else on the disk; None where it cannot be read."""
        if path in self.opened:
            return self.opened[path]
        try:
            found = read(path)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, Source) else None

    def outside(self, file: tree.File) -> Mapping[str, Symbol]:
        """The names that the imports of a file bring into it."""
        found: dict[str, Symbol] = {}
        for item in file.items:
            path = target(item) if isinstance(item, tree.Import) else None
            if path is not None:
                found |= self._given_by(path)
        return found

    def _given_by(self, path: Path) -> dict[str, Symbol]:
        source = self.read(path)
        if source is None:
            return {}
        known = self._names.get(path)
        if known is None or known[0] != source.text:
            symbols = read_names(parse(source)[0]).symbols()
            known = source.text, {symbol.name: symbol for symbol in symbols if symbol.kind in _SHARED}
            self._names[path] = known
        return known[1]


def target(item: tree.Import) -> Path | None:
    """The file that an import names: relative to its own, or one of the shipped library."""
    match item.what:
        case tree.String(value=value) if value.endswith(".dlspec"):
            return Path(item.span.source.name).parent / value
        case tree.Path(parts=("std", *parts)) if parts:
            return STD.joinpath(*parts[:-1], f"{parts[-1]}.dlspec")
    return None


def library() -> Iterator[str]:
    """The files of the shipped library, `transformer` for `import std.transformer`."""
    return (file.stem for file in sorted(STD.glob("*.dlspec")))
