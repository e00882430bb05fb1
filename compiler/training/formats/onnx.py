"""onnx: the exchange format that most runtimes read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from ....grammar import tree
from ....grammar.source import Span
from ...layers.options import Flag
from ...options import Kind
from ...semantics.evaluate import FAULT, Scope, is_number
from ...semantics.number import is_whole, number, whole
from ...semantics.report import Report
from ..base import OptionFault, ReadBy
from ..format import Format
from ..values import File, Word
from ..words import word_option

OLDEST, NEWEST = 17, 25
SPOKEN = 23


def _opset(value: object) -> Any:
    value = number(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not is_number(value) or not is_whole(value) or not OLDEST <= whole(value) <= NEWEST:
        raise ValueError(f"a whole number from {OLDEST} to {NEWEST}")
    return value


def _read_outputs(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    """The names of a list (or the one that stands without brackets), each with its place."""
    if isinstance(flow, tree.Nothing):
        return None
    found: dict[str, Span] = {}
    fits = True
    for entry in flow.entries if isinstance(flow, tree.List) else (flow,):
        match entry:
            case tree.Stage(path=tree.Path(parts=(word,)), args=None, body=None) if word not in found:
                found[word] = entry.span
                continue
            case tree.Stage(path=tree.Path(parts=(word,)), args=None, body=None):
                labels = ((found[word], "named here first"),)
                report.error("repeated-name", f"`{name}` names `{word}` twice", entry.span, "once more", labels=labels)
            case _:
                help = "such as `outputs = [logits]`"
                report.error("wrong-value", f"`{name}` takes names of outputs", entry.span, "no name", help=help)
        fits = False
    if fits and not found:
        report.error("wrong-value", f"`{name}` takes names of outputs", flow.span, "an empty list", help="take it out")
        fits = False
    return tuple(found.items()) if fits else FAULT


class Onnx(Format):
    """`onnx("model.onnx")`: an ONNX file (opset 23) of the model in evaluation, its open dims still open.

    With `outputs = [logits]` the file holds these and what they need. `opset` is the version of ONNX, 17 to 25.
    `cache = true` gives a language model's keys and values in and out. `quantize` stores weights as `int8`, `int4` or
    `fp16`. `profile` says who reads the file: `onnx` any runtime of that version, `compat` older ones, `genai` ONNX
    Runtime's generation, which needs the cache.
    """

    word: ClassVar[str] = "onnx"
    example: ClassVar[str] = 'onnx("model.onnx")'
    later: ClassVar[frozenset[str]] = frozenset({"opset", "cache", "quantize", "profile"})
    spellings: ClassVar[dict[str, str]] = {"opset_version": "opset", "output_names": "outputs", "use_cache": "cache"}

    path: File
    outputs: Annotated[Any, Kind(lambda value: value), ReadBy(_read_outputs)] = None
    opset: Annotated[Any, Kind(_opset)] = SPOKEN
    cache: Flag = False
    quantize: Annotated[Word | None, word_option("way to quantize", "int8 int4 fp16", none=True)] = None
    profile: Annotated[Word, word_option("profile", "onnx compat genai", {"ort_genai": "genai"})] = "onnx"

    def faults(self) -> Iterator[OptionFault]:
        if self.profile == "genai" and not self.cache:
            message = "ONNX Runtime's generation hands keys and values from step to step, and this file has no cache"
            yield OptionFault("conflict", message, "profile", "needs `cache = true`", "write `cache = true` too")
        if self.profile == "compat" and whole(self.opset) > SPOKEN:
            message = "`compat` is for runtimes older than this opset"
            yield OptionFault("conflict", message, "opset", "newer than they are", f"take {SPOKEN} or less")
