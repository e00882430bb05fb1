"""From the settings of an artefact to its data."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .arrays import open_arrays
from .audio import open_audio
from .augmented import augmented, require_one_size
from .dataset import Data
from .digits import open_digits
from .embedded import LOADERS, open_embedded
from .faults import DataError
from .idx import open_idx
from .images import open_images
from .options import Options
from .pairs import open_pairs
from .table import open_table
from .task import open_task
from .text import open_text
from .tokens import open_tokens

# A source of data is a line here: from its options, the directory of the spec and the seed of the run to its data.
SOURCES: Mapping[str, Callable[[Options, Path, int], Data]] = {
    "arrays": lambda options, base, seed: open_arrays(options, base),
    "audio": lambda options, base, seed: open_audio(options, base),
    "digits": lambda options, base, seed: open_digits(options),
    "idx": lambda options, base, seed: open_idx(options, base),
    "images": lambda options, base, seed: open_images(options, base),
    "pairs": lambda options, base, seed: open_pairs(options, base),
    "table": lambda options, base, seed: open_table(options, base),
    "task": lambda options, base, seed: open_task(options, seed),
    "text": open_text,
    "tokens": open_tokens,
    **{word: lambda options, base, seed, word=word: open_embedded(word, options) for word in LOADERS},
}


def open_data(settings_data: dict[str, Any], *, base: Path, seed: int) -> Data:
    """The data that `settings_data` ({"source": ..., "options": {...}, "augmentations": [...]}) describes.

    `base` is the directory of the spec, which file names are relative to. Raises DataError.
    """
    source, options = settings_data["source"], settings_data.get("options") or {}
    if source not in SOURCES:
        near = difflib.get_close_matches(source, SOURCES, n=1)
        raise DataError(
            f"this version of dlspec has no data source `{source}`",
            f"did you mean {near[0]}?" if near else f"there are: {', '.join(SOURCES)}",
        )
    data = SOURCES[source](options, base, seed)
    written = settings_data.get("augmentations")
    data = augmented(data, written, seed) if written else data
    require_one_size(data.fields)
    return data
