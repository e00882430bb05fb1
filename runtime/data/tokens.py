"""Tokens that are ready: one flat file of little-endian uint16 or uint32, as nanoGPT writes it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np

from . import options
from .dataset import Data
from .draws import parts_of
from .faults import DataError
from .files import Fingerprint, FoundFile, find_file, read_chunks, unreadable
from .options import Options
from .text import require_window, too_short_to_validate
from .windows import Tokens, TrainingWindows, ValidationWindows, window_fields


def open_tokens(settings: Options, base: Path, seed: int) -> Data:
    """The file stays on disk; it is read once from end to end for its fingerprint and its largest id."""
    kind = np.dtype(options.word(settings, "dtype", ("uint16", "uint32"), "uint16")).newbyteorder("<")
    window = options.whole_number(settings, "window")
    fingerprint: dict[str, Fingerprint] = {}
    file = find_file(options.path(settings, "file"), base)
    training, classes = mapped(file, kind, fingerprint)
    validation: Tokens | None = None
    if settings.get("validation"):
        validation, others = mapped(find_file(options.path(settings, "validation"), base), kind, fingerprint)
        classes = max(classes, others)
    else:
        shares = options.split(settings)
        train_end, validation_end = parts_of(len(training), shares)
        if shares[1] > 0:
            validation = training[train_end:validation_end]
        training = training[:train_end]
    require_window("training", len(training), window)
    if validation is not None and len(validation) < 2:
        raise too_short_to_validate(len(validation))
    return Data(
        train=TrainingWindows(training, window, seed),
        validation=None if validation is None else ValidationWindows(validation, window),
        fields=window_fields(window, classes),
        fingerprint=fingerprint,
    )


def mapped(file: FoundFile, kind: np.dtype, fingerprint: dict[str, Fingerprint]) -> tuple[Tokens, int]:
    """The tokens of a file, and one more than the largest; notes its fingerprint."""
    digest, size, top = sha256(), 0, 0
    for chunk in read_chunks(file):
        digest.update(chunk)
        size += len(chunk)
        whole = np.frombuffer(chunk, kind, count=len(chunk) // kind.itemsize)
        top = max(top, int(whole.max(initial=0)))
    if not size:
        raise DataError(f"{file.name} is empty")
    if size % kind.itemsize:
        raise DataError(
            f"{file.name} has {size:,} bytes, which is no whole number of {kind.name} tokens",
            f"it is cut off, or not made of {kind.name}",
        )
    fingerprint[file.name] = {"sha256": digest.hexdigest(), "size": size}
    try:
        return np.asarray(np.memmap(file.path, kind, mode="r")), top + 1
    except OSError as error:
        raise unreadable(file, error) from None
