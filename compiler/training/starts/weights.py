"""weights: those of a file."""

from __future__ import annotations

from typing import ClassVar

from ..start import Renaming, Skipped, Start
from ..values import File


class Weights(Start):
    """`start = weights("model.safetensors", map = ["h.*.ln_1" -> "blocks.*.attn_norm"], skip = [head])`: the weights
    of a file, by their names.

    `map` names what is called otherwise in the file; `skip` are modules that keep the weights they are drawn with.
    """

    word: ClassVar[str] = "weights"
    example: ClassVar[str] = 'weights("model.safetensors")'
    runs: ClassVar[bool] = False

    file: File
    map: Renaming = ()
    skip: Skipped = ()
