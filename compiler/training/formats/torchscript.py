"""torchscript: a file that PyTorch runs without Python."""

from __future__ import annotations

from typing import ClassVar

from ..format import Format
from ..values import File


class TorchScript(Format):
    """`torchscript("model.pt")`: the model in evaluation, scripted; it loads in C++ and needs no dlspec."""

    word: ClassVar[str] = "torchscript"
    example: ClassVar[str] = 'torchscript("model.pt")'

    path: File
