"""What recurs in a run, and what ends it early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..layers.options import Whole
from .base import Options
from .values import Text, TrainLength


class Every(Options):
    """`validate = every(500)`: once in that many steps, `5%` of the run or `5 * epoch`, and at the end of the run."""

    word: ClassVar[str] = "every"
    example: ClassVar[str] = "every(500)"

    length: TrainLength


class EveryCheckpoint(Options):
    """`checkpoint = every(1_000, keep = 3)`: a checkpoint so often and at the end; the newest `keep` are kept, 2 if
    left out."""

    word: ClassVar[str] = "every"
    example: ClassVar[str] = "every(1_000, keep = 3)"

    length: TrainLength
    keep: Whole = 2


class EverySample(Options):
    """`sample = every(1_000, prompt = "ROMEO:")`: text that the model writes on after `prompt`."""

    word: ClassVar[str] = "every"
    example: ClassVar[str] = 'every(1_000, prompt = "ROMEO:")'

    length: TrainLength
    prompt: Text


class Patience(Options):
    """`early_stop = patience(5, on = "validation.loss")`: ends the run after that many validations in a row without a
    new best of what `on` names: the loss, or a metric such as "validation.accuracy". Where `validate` is left
    out, that is after each pass over the data."""

    word: ClassVar[str] = "patience"
    example: ClassVar[str] = 'patience(5, on = "validation.loss")'
    spellings: ClassVar[dict[str, str]] = {"monitor": "on", "patience": "validations"}

    validations: Whole
    on: Text = "validation.loss"


OF_KEYS: Mapping[str, type[Options]] = {
    "validate": Every,
    "checkpoint": EveryCheckpoint,
    "sample": EverySample,
    "early_stop": Patience,
}
"""What a key takes that takes one call only, and has no registry of them."""
