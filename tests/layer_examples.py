"""A model of the line that a layer's documentation shows, and inputs that fit it. Needs no framework."""

from __future__ import annotations

from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.build.model import build_model
from dlspec.compiler.layers import registry
from dlspec.compiler.layers.base import Layer
from dlspec.compiler.pipeline import Artefact, analyse, compile
from dlspec.compiler.semantics.report import Report
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.grammar import Source

SMALL = Sizes({"B": 3, "T": 7, "S": 5, "H": 12, "W": 10, "L": 9})
LARGE = Sizes({"B": 1, "T": 11, "S": 8, "H": 16, "W": 14, "L": 13})


def kind_of(word: str) -> type[Layer]:
    kind = registry.find(word)
    assert kind is not None
    return kind


def example(word: str, *, recomputed: bool = False) -> Artefact:
    """The example alone in a model, or in a `checkpoint`, which gives the first of its outputs. What it gives is asked
    of a first try, which promises something else."""
    names = ["y", "z", "u", "v"][: kind_of(word).example_outputs]
    tried = analyse(Source("example.dlspec", _text(word, [f"{name}: [B]" for name in names])))
    assert tried.spec is not None
    found = build_model(tried.spec, tried.spec.scope.models["Example"], Report()).flows
    names = names[:1] if recomputed else names
    text = _text(word, [f"{name}: {found[name]}" for name in names], recomputed=recomputed)
    return compile(Source("example.dlspec", text))


def _text(word: str, outputs: list[str], *, recomputed: bool = False) -> str:
    kind = kind_of(word)
    inputs = ({"x": kind.example_input} if kind.takes_running else {}) | kind.example_sides
    names = [output.partition(":")[0] for output in outputs]
    begin = "x -> " if kind.takes_running and len(inputs) > 1 else ""
    call = f"checkpoint {{ {kind.example} }}" if recomputed else kind.example
    lines = [f"{begin}{call} as {', '.join(names)}"]
    if not inputs:  # a model takes something
        inputs, outputs = {"x": "[B, 8]"}, [*outputs, "rest: [B, 8]"]
        lines = ["x -> relu as rest", *lines]
    ports = ", ".join(f"{name}: {type_}" for name, type_ in inputs.items())
    body = "".join(f"  {line}\n" for line in lines)
    return f"dlspec 1\nmodel Example: ({ports}) -> ({', '.join(outputs)}) {{\n{body}}}\n"


def tensor(type: object) -> Tensor:
    assert isinstance(type, Tensor)
    return type


def shape(type: object, sizes: Sizes = SMALL) -> tuple[int, ...]:
    """A type's dims with open ones as `sizes` has them."""
    return tuple(map(sizes.of, tensor(type).dims))
