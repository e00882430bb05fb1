"""bundle: a folder that an inference server loads."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ..format import Format
from ..values import File, Word
from ..words import word_option


class Bundle(Format):
    """`bundle("models/", server = triton)`: a folder with the model and what the `server` has to know of it.

    `triton` is NVIDIA's inference server; the model lies in a folder of its name and version.
    """

    word: ClassVar[str] = "bundle"
    example: ClassVar[str] = 'bundle("models/", server = triton)'
    runs: ClassVar[bool] = False

    path: File
    server: Annotated[Word, word_option("server", "triton")] = "triton"
