"""Tiles of kernels as `dlspec bench --tune` keeps them: a file of JSON, read and written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import __version__
from ..runtime.errors import Refused


def read_tiles(path: Path) -> Mapping[str, Any]:
    """The tables of a file, by name. Raises Refused where it is none that `bench --tune` wrote."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"there is no file {path}", _WRITE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {type(error).__name__}", _WRITE) from None
    except ValueError as error:
        raise Refused(f"{path} is no JSON: {error}", _WRITE) from None
    tables = found.get("tables") if isinstance(found, dict) else None
    if not isinstance(tables, dict):
        raise Refused(f"{path} has no tiles: `tables` is missing, or no object", f"{_LIKE} {_WRITE}")
    return tables


def tiles_text(spec: str, gpu: str, tables: Mapping[str, Any]) -> str:
    """What is written: the tables, for which spec and on which GPU they were found."""
    return json.dumps({"dlspec": __version__, "spec": spec, "gpu": gpu, "tables": tables}, indent=2) + "\n"


@contextmanager
def fitting_tiles() -> Iterator[None]:
    """Turns WrongTiles into Refused."""
    from ..compiler.backends.triton.wrong_tiles import WrongTiles

    try:
        yield
    except WrongTiles as error:
        raise Refused(f"the tiles do not fit: {error}", _WRITE) from None


_LIKE = 'A file of tiles has tables by name: {"tables": {"ATTENTION_FORWARD": {"9": {"2": [128, 128, 8, 3, true]}}}}.'
_WRITE = "`dlspec bench FILE --tune TILES.json` finds tiles for a spec, and writes them."
