"""From the settings of an artefact to its data."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from .arrays import open_arrays
from .dataset import Data, DataError
from .digits import open_digits
from .task import open_task
from .text import open_text
from .tokens import open_tokens

SOURCES = ("arrays", "digits", "task", "text", "tokens")


def open_data(settings_data: dict[str, Any], *, base: Path, seed: int) -> Data:
    """The data that `settings_data` ({"source": ..., "options": {...}}) describes.

    `base` is the directory of the spec, which file names are relative to. Raises DataError.
    """
    source, options = settings_data["source"], settings_data.get("options") or {}
    match source:
        case "arrays":
            return open_arrays(options, base)
        case "digits":
            return open_digits(options)
        case "task":
            return open_task(options, seed)
        case "text":
            return open_text(options, base, seed)
        case "tokens":
            return open_tokens(options, base, seed)
    near = difflib.get_close_matches(source, SOURCES, n=1)
    raise DataError(
        f"this version of dlspec has no data source `{source}`",
        f"did you mean {near[0]}?" if near else f"there are: {', '.join(SOURCES)}",
    )
