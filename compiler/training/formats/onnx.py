"""onnx: the exchange format that most runtimes read."""

from __future__ import annotations

from typing import ClassVar

from ..base import Options
from ..values import File


class Onnx(Options):
    """`onnx("model.onnx")`: an ONNX file (opset 23) of the model in evaluation, its open dims still open."""

    word: ClassVar[str] = "onnx"
    example: ClassVar[str] = 'onnx("model.onnx")'
    later: ClassVar[frozenset[str]] = frozenset({"outputs", "opset", "cache", "quantize", "profile"})
    idle: ClassVar[dict[str, object]] = {"opset": 23, "cache": False, "quantize": None, "profile": "onnx"}

    path: File
