"""Examples put where they can be checked: a layer alone in a model, a line of `train` in a recipe, whole files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dlspec.compiler.build.model import build_model
from dlspec.compiler.ir.graph import LayerModule
from dlspec.compiler.layers.base import Layer, Parameter
from dlspec.compiler.pipeline import Analysis, analyse
from dlspec.compiler.semantics.combinators import ENTRIES
from dlspec.compiler.semantics.report import Report
from dlspec.grammar import Source, render

SPECS = Path(__file__).resolve().parents[2] / "specs"


class WrongExample(ValueError):
    """An example that is not what the page says of it."""


def read(text: str) -> Analysis:
    return analyse(Source("spec.dlspec", text))


# --- a stage -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """What the example of a word takes and gives. Types are as a spec writes them; `trained` and `kept` are the tensors
    of the layer by their keys; `runs` says whether this version can do it."""

    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    trained: Mapping[str, Parameter]
    kept: Mapping[str, Parameter]
    runs: bool


def of_layer(kind: type[Layer]) -> Sample:
    """The example of a class. Raises WrongExample where it is not right."""
    inputs = ({"x": kind.example_input} if kind.takes_running else {}) | kind.example_sides
    line = f"{'x -> ' if kind.takes_running and len(inputs) > 1 else ''}{kind.example}"
    outputs, analysis = _placed([line], inputs, kind.example_outputs)
    if analysis.failed:
        raise WrongExample(f"{kind.word}: {_said(analysis)}")
    trained, kept = _tensors(analysis, kind)
    return Sample(inputs, outputs, trained, kept, not analysis.diagnostics)


# What the examples of combinators work on, and the module that one of them copies.
_INPUTS = ("[B, 8, 16]", "[B, 8, 48]", "[B, 8, 64]", "[B, 16, 8, 8]")
_BEFORE = "encoder: Linear(16)"


def of_combinator(word: str) -> Sample:
    """The example of a combinator on the first input that it fits. Raises WrongExample where it fits none."""
    example, tried = ENTRIES[word].example, ""
    before = [_BEFORE] if "(encoder" in example else []
    for type_ in _INPUTS:
        outputs, analysis = _placed([*before, example], {"x": type_}, 1)
        if not analysis.failed:
            return Sample({"x": type_}, outputs, {}, {}, not analysis.diagnostics)
        tried = tried or _said(analysis)
    raise WrongExample(f"{word}: {tried}")


def _placed(lines: list[str], inputs: Mapping[str, str], results: int) -> tuple[tuple[str, ...], Analysis]:
    """The types that come out of lines, and the model of them."""
    names = ["y", "z", "u", "v"][:results]
    tried = read(_model(lines, inputs, dict.fromkeys(names, "[B]")))
    assert tried.spec is not None
    found = build_model(tried.spec, tried.spec.scope.models["Example"], Report()).flows
    types = {name: str(found[name]) for name in names}
    return tuple(types.values()), read(_model(lines, inputs, types))


def _model(lines: list[str], inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    lines = [*lines[:-1], f"{lines[-1]} as {', '.join(outputs)}"]
    if not inputs:  # a model takes something
        inputs, outputs, lines = {"x": "[B, 8]"}, {**outputs, "rest": "[B, 8]"}, ["x -> relu as rest", *lines]
    body = "".join(f"  {line}\n" for line in lines)
    return f"dlspec 1\nmodel Example: ({_ports(inputs)}) -> ({_ports(outputs)}) {{\n{body}}}\n"


def _ports(types: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {type_}" for name, type_ in types.items())


def _tensors(analysis: Analysis, kind: type[Layer]) -> tuple[Mapping[str, Parameter], Mapping[str, Parameter]]:
    for module in analysis.graphs["Example"].model.modules:
        if isinstance(module, LayerModule) and isinstance(module.layer, kind):
            return module.layer.parameters(module.inputs[0]), module.layer.buffers(module.inputs[0])
    return {}, {}


# --- a line of `train` -------------------------------------------------------------------------------------------

_PICTURES = """\
dlspec 1
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  stem: { flatten -> Linear(16) -> relu }
  head: Linear(10)
}
"""
_TEXT = """\
dlspec 1
model Net: (tokens: int[B, T]) -> (logits: [B, T, 256]) {
  wte: Embedding(256, 16)
  head: Linear(256)
}
"""
_CRITIC = """\
dlspec 1
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  critic: { flatten -> Linear(10) }
}
"""
_LOSS = "loss = cross_entropy(logits, data.label)"
_RUN = ["optimizer = AdamW(lr = 3e-4)", "steps = 9_000", "batch = 64"]
_PLACES = (
    (_PICTURES, [*_RUN, "data = digits", _LOSS, "validate = every(500)"]),
    (_TEXT, [*_RUN, 'data = text("corpus/*.txt", window = 64)', "loss = cross_entropy(logits, data.targets)"]),
    (_CRITIC, [*_RUN, "data = digits", f"phase a {{\n  update = [critic]\n  {_LOSS}\n}}"]),
)
_UNITS = {"steps": "epochs", "epochs": "steps"}


def train_line(line: str) -> Analysis:
    """A `key = value` in the first of three recipes that it fits. Raises WrongExample."""
    tried = [read(text) for text in _recipes(line)]
    found = next((one for one in tried if not one.failed), None)
    if found is None:
        raise WrongExample(f"{line}: {_said(tried[0])}")
    return found


def _recipes(line: str) -> Iterator[str]:
    key = line.partition(" =")[0]
    for model, lines in _PLACES:
        *rest, last = [one for one in lines if one.partition(" =")[0] not in (key, _UNITS.get(key))]
        in_phase = last.startswith("phase") and key in ("update", "times")
        if in_phase:
            kept = [one for one in last.splitlines() if not one.strip().startswith(f"{key} =")]
            rest.append("\n".join([*kept[:-1], line, kept[-1]]))
        else:
            rest += [last, line]
        yield "\n".join([f"{model}train Net {{", *rest, "}\n"])


# --- the blocks of a page ----------------------------------------------------------------------------------------

_BLOCK = re.compile(r"^```dlspec *([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def check(page: str) -> None:
    """Hold every example of a page against the language.

    What stands behind `dlspec` in the fence says what it is: nothing for a file or items of one that are right, `wrong
    CODE` for a file that deserves this code and no other, `in train` for lines of a recipe, `start of NAME` for that
    line in a recipe of a spec in specs/, `python` for a file that is right where the Python of the page may run (the
    tests do that); `with CODE` and `without CODE` for the two specs of an entry about a code. Raises WrongExample.
    """
    for fence, text in _BLOCK.findall(page):
        if not _holds(fence.split(), text):
            raise WrongExample(f"not {fence or 'right'}: {_said(read(_whole(text)))}\n{text}")


def with_messages(page: str) -> str:
    """A page with what is said of each wrong example below it."""

    def shown(block: re.Match[str]) -> str:
        if not block[1].startswith("wrong "):
            return block[0]
        said = "\n\n".join(map(render, read(block[2]).diagnostics))
        return f"{block[0]}\n\n```text\n{said}\n```"

    return _BLOCK.sub(shown, page)


def _holds(fence: list[str], text: str) -> bool:
    match fence:
        case []:
            return not _codes(_whole(text))
        case ["wrong", code]:
            return _codes(text) == {code}
        case ["python"]:
            return _codes(text) == {"python-not-allowed"}
        case ["in", "train"]:
            return all(not train_line(line).failed for line in text.splitlines())
        case ["start", "of", name]:
            return not _codes(_starting(name, text))
        case ["with", code]:
            return code in {d.code for d in read(text).diagnostics}
        case ["without", code]:
            return code not in {d.code for d in read(text).diagnostics}
    raise WrongExample(f"no kind of example: {' '.join(fence)}")


def _whole(text: str) -> str:
    return text if text.startswith("dlspec ") else f"dlspec 1\n{text}"


def _starting(name: str, line: str) -> str:
    """A spec in specs/ with one more recipe, which starts as a line says."""
    spec = (SPECS / f"{name}.dlspec").read_text(encoding="utf-8")
    model = re.findall(r"^model (\w+): .*? -> \((\w+)", spec, re.MULTILINE)[0]
    lines = ['data = arrays("x.npz")', f"loss = mse({model[1]}, 1)", *_RUN, line]
    return "\n".join([spec, f"train {model[0]} as example {{", *lines, "}\n"])


def _codes(text: str) -> set[str]:
    """What is wrong with an example; that it may be a block alone is not."""
    return {d.code for d in read(text).diagnostics if d.severity != "note"} - {"no-model"}


def _said(analysis: Analysis) -> str:
    return "; ".join(f"{d.message} [{d.code}]" for d in analysis.diagnostics)
