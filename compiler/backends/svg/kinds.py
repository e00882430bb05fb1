"""What kind of layer a box shows, and the colours of the kinds.

The kind follows from what a layer is and how it is called, so that a new layer has one without a table knowing it.
Fills differ in lightness as well as in hue: the kinds stay apart in grey.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ...layers.base import Function, Layer

Kind: TypeAlias = Literal[
    "attention",
    "convolution",
    "recurrent",
    "embedding",
    "weights",
    "norm",
    "activation",
    "regularisation",
    "shape",
    "block",
    "port",
    "sum",
    "frame",
    "plain",
]

# Kind -> fill and border.
COLOURS: dict[Kind, tuple[str, str]] = {
    "attention": ("#c9b8e4", "#6f5a98"),
    "convolution": ("#a9cbe6", "#40709a"),
    "recurrent": ("#f0bf9a", "#a8683a"),
    "embedding": ("#bfdfb9", "#5b8a55"),
    "weights": ("#c4dcf2", "#5680aa"),
    "norm": ("#faeebf", "#b09a4c"),
    "activation": ("#f8d9d6", "#b87670"),
    "regularisation": ("#eeeeee", "#9a9a9a"),
    "shape": ("#f7f7f7", "#8f8f8f"),
    "block": ("#d9d9e8", "#5c5c80"),
    "port": ("#ffffff", "#444444"),
    "sum": ("#ffffff", "#333333"),
    "frame": ("#fbfbfd", "#8a8a9c"),
    "plain": ("#f2f2f2", "#707070"),
}

_PARTS: tuple[tuple[str, Kind], ...] = (
    ("attention", "attention"),
    ("attend", "attention"),
    ("conv", "convolution"),
    ("embedding", "embedding"),
    ("position", "embedding"),
    ("sinusoid", "embedding"),
    ("token", "embedding"),
    ("lstm", "recurrent"),
    ("gru", "recurrent"),
    ("rnn", "recurrent"),
)


def kind_of(layer: Layer) -> Kind:
    """The kind of a layer, by its name, then by what it is."""
    word = layer.word.lower()
    named: Kind | None = next((kind for part, kind in _PARTS if part in word), None)
    if named is not None:
        return named
    if word.endswith("norm"):
        return "norm"
    if layer.trains_only:
        return "regularisation"
    if isinstance(layer, Function):
        return "activation"
    return "weights" if layer.word[0].isupper() else "shape"
