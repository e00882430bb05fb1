"""Layers and functions: what the class says, its options, and what its example gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlspec.compiler.layers import registry
from dlspec.compiler.layers.base import Function, Layer, Parameter
from dlspec.compiler.semantics.number import written
from dlspec.editor import documentation

from .markdown import LATER, entry, gives, option_table, table
from .samples import Sample, of_layer

_shown: set[str] = set()
"""The words that have their entry, so that `others` finds those that no page names."""


def entries(words: Sequence[str]) -> str:
    return "\n\n".join(map(_entry, words))


def activations(words: Sequence[str]) -> str:
    """The pointwise functions without weights, and those that are named besides."""
    found = {word for word in registry.words() if _is_activation(registry.get(word))}
    return entries(sorted(found | set(words), key=str.lower))


def others(words: Sequence[str]) -> str:
    """What there is and no page names: a new layer has its entry at once."""
    left = [word for word in registry.words() if word not in _shown]
    return f"## Further layers\n\n{entries(left)}" if left else ""


def maths(words: Sequence[str]) -> str:
    pages = [documentation.maths(word) for word in documentation.maths_words()]
    return table(("function", "gives"), [(f"`{page.signature}`", page.text) for page in pages if page is not None])


def _is_activation(kind: type[Layer]) -> bool:
    return issubclass(kind, Function) and kind.word.islower()


def _entry(word: str) -> str:
    _shown.add(word)
    kind, page = registry.get(word), documentation.layer(word)
    assert page is not None
    found = of_layer(kind)
    return entry(
        word,
        "" if found.runs else LATER,
        page.text,
        option_table(page, spread=_spread(kind)),
        _example_text(kind, found),
    )


def _spread(kind: type[Layer]) -> dict[str, str]:
    """How the options are written that take all that has no name of their own."""
    spread = {kind.variadic: "a, b, ...", kind.keywords: "name = n, ..."}
    return {name: text for name, text in spread.items() if name is not None}


def _example_text(kind: type[Layer], found: Sample) -> str:
    said = [gives(kind.example, found)]
    if found.trained:
        said.append(f"Parameters: {_tensors(found.trained)}.")
    if found.kept:
        said.append(f"Kept and not trained: {_tensors(found.kept)}.")
    return " ".join(said)


def _tensors(tensors: Mapping[str, Parameter]) -> str:
    def dims(tensor: Parameter) -> str:
        return f"[{', '.join(map(written, tensor.dims))}]"

    return ", ".join(f"`{key} {dims(tensor)}`" if key else f"`{dims(tensor)}`" for key, tensor in tensors.items())
