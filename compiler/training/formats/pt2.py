"""pt2: PyTorch's exported program."""

from __future__ import annotations

from typing import ClassVar

from ..format import Format
from ..values import File


class Pt2(Format):
    """`pt2("model.pt2")`: the model in evaluation as an exported program, its open dims still open."""

    word: ClassVar[str] = "pt2"
    example: ClassVar[str] = 'pt2("model.pt2")'
    runs: ClassVar[bool] = False

    path: File
