"""From the settings of an artefact to its data."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .arrays import open_arrays
from .dataset import Data, DataError
from .digits import open_digits
from .options import Options
from .task import open_task
from .text import open_text
from .tokens import open_tokens

# A source of data is a line here: from its options, the directory of the spec and the seed of the run to its data.
SOURCES: Mapping[str, Callable[[Options, Path, int], Data]] = {
    "arrays": lambda options, base, seed: open_arrays(options, base),
    "digits": lambda options, base, seed: open_digits(options),
    "task": lambda options, base, seed: open_task(options, seed),
    "text": open_text,
    "tokens": open_tokens,
}


def open_data(settings_data: dict[str, Any], *, base: Path, seed: int) -> Data:
    """The data that `settings_data` ({"source": ..., "options": {...}}) describes.

    `base` is the directory of the spec, which file names are relative to. Raises DataError.
    """
    source, options = settings_data["source"], settings_data.get("options") or {}
    if source not in SOURCES:
        near = difflib.get_close_matches(source, SOURCES, n=1)
        raise DataError(
            f"this version of dlspec has no data source `{source}`",
            f"did you mean {near[0]}?" if near else f"there are: {', '.join(SOURCES)}",
        )
    return SOURCES[source](options, base, seed)
