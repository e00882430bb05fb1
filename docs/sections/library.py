"""The files that `import std.NAME` brings, with the blocks and functions in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dlspec
from dlspec.grammar import Source, parse, tree

from .markdown import table

_FOLDER = Path(dlspec.__file__).parent / "specs" / "std"


def files(words: Sequence[str]) -> str:
    rows = [(f"`std.{path.stem}`", ", ".join(_heads(path))) for path in sorted(_FOLDER.glob("*.dlspec"))]
    return table(("import", "has"), rows)


def _heads(path: Path) -> list[str]:
    """How each item of a file is written where it is used."""
    text = path.read_text(encoding="utf-8")
    file, found = parse(Source(path.name, text))
    assert not found, found
    return [
        f"`{item.name.text}{_parameters(item)}`" for item in file.items if isinstance(item, tree.Block | tree.Function)
    ]


def _parameters(item: tree.Block | tree.Function) -> str:
    return f"({', '.join(param.span.text for param in item.params)})" if item.params else ""
