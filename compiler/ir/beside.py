"""What a graph needs beside its emitted file: the files with layers that are written in Python."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..layers.base import Layer
from .graph import Graph, LayerModule, Momentum
from .units import units_in


def python_layers(graph: Graph) -> Iterator[Layer]:
    """The layers that are written in Python, at each place where they are used."""
    for unit in units_in(graph.model):
        for module in unit.modules:
            made = module.of if isinstance(module, Momentum) else module
            if isinstance(made, LayerModule):
                yield from _in_layer(made.layer)


def files_beside(graph: Graph) -> dict[str, str]:
    """The texts of their files, under the names by which the emitted file imports them."""
    sources = [layer.python for layer in python_layers(graph) if layer.python is not None]
    return {os.path.basename(source.name): source.text for source in sources}


def _in_layer(layer: Layer) -> Iterator[Layer]:
    """The layer itself, and those that it holds as options (`SqueezeExcite(4, act = Wavelet)`)."""
    if layer.python is not None:
        yield layer
    for name in layer.options:
        option = getattr(layer, name)
        if isinstance(option, Layer):
            yield from _in_layer(option)
