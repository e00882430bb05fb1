"""`resolved.json`: from what a run was made, enough to compile it again without the files it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from .. import __version__
from ..grammar.source import Source
from ..runtime.errors import Refused
from ..runtime.table_columns import Columns, columns_from_json

FILE = "resolved.json"
SPEC = "spec.dlspec"
SCHEMA = 1


@dataclass(frozen=True)
class Record:
    """`name` is the spec's file name without its folder; `tokenizer` the text it was kept as; `classes` the names of
    what an output scores; `columns` those of a table that an input is made of; `picture` the height and width of its
    pictures as they are read. All four were found in the data, which a trained model has to do without.
    """

    name: str
    text: str
    overrides: tuple[str, ...]
    recipe: str
    settings: Mapping[str, Any]
    tokenizer: str | None = None
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, Columns] = field(default_factory=dict)
    picture: tuple[int, int] | None = None
    version: str = __version__
    imports: Mapping[str, str] = field(default_factory=dict)
    """The texts of the files that the spec imports."""
    tiles: Mapping[str, Any] = field(default_factory=dict)
    """Tables of tiles that its kernels have in place of those that come with dlspec."""

    @property
    def python(self) -> dict[str, str]:
        """The sha256 of those of them that are written in Python, by their paths from the spec."""
        return {name: _hash(text) for name, text in self.imports.items() if name.endswith(".py")}

    @property
    def source(self) -> Source:
        """What was compiled."""
        return Source(self.name, self.text, self.imports)

    @property
    def texts(self) -> dict[str, str]:
        """The files of a run that say where it comes from."""
        stored = {
            "schema": SCHEMA,
            "dlspec": self.version,
            "source": {"name": self.name, "text": self.text, "imports": dict(self.imports)},
            "overrides": list(self.overrides),
            "recipe": self.recipe,
            "settings": self.settings,
            "tokenizer": self.tokenizer,
            "python": self.python,
            "classes": {output: list(names) for output, names in self.classes.items()},
            "columns": {name: made.to_json() for name, made in self.columns.items()},
            "picture": self.picture,
            "tiles": dict(self.tiles),
        }
        return {SPEC: self.text, FILE: json.dumps(stored, indent=2, ensure_ascii=False) + "\n"}


def read_record(texts: Mapping[str, str]) -> Record:
    """What a run's texts say. Raises Refused where they are newer, or are no record."""
    try:
        stored = json.loads(texts[FILE])
        schema = stored["schema"]
        if schema == SCHEMA:
            record = Record(
                name=stored["source"]["name"],
                text=stored["source"]["text"],
                imports=stored["source"].get("imports", {}),
                overrides=tuple(stored["overrides"]),
                recipe=stored["recipe"],
                settings=stored["settings"],
                tokenizer=stored["tokenizer"],
                classes={output: tuple(names) for output, names in stored["classes"].items()},
                columns={name: columns_from_json(made) for name, made in stored["columns"].items()},
                picture=_size(stored.get("picture")),
                version=stored["dlspec"],
                tiles=stored.get("tiles", {}),
            )
            if stored.get("python", {}) != record.python:
                raise ValueError("the files of Python are not those whose hashes it names")
            return record
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"{FILE} of this run cannot be read: {error!r}", "Train anew from the spec.") from None
    raise Refused(f"{FILE} has format {schema}, this dlspec reads format {SCHEMA}", "Use the dlspec that wrote it.")


def _size(stored: list[int] | None) -> tuple[int, int] | None:
    return None if stored is None else (stored[0], stored[1])


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
