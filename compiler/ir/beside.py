"""What a graph needs beside its emitted file: the files with layers that are written in Python."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..layers.base import Layer
from .graph import Copies, Experts, Graph, LayerModule, Momentum, Unit, UnitModule


def python_layers(graph: Graph) -> Iterator[Layer]:
    """The layers that are written in Python, at each place where they are used."""
    yield from _in_unit(graph.model)


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


def _in_unit(unit: Unit) -> Iterator[Layer]:
    for module in unit.modules:
        match module:
            case LayerModule(layer=layer) | Momentum(of=LayerModule(layer=layer)):
                yield from _in_layer(layer)
            case UnitModule(unit=inner) | Momentum(of=UnitModule(unit=inner)):
                yield from _in_unit(inner)
            case Copies(units=units) | Experts(units=units):
                for inner in dict.fromkeys(units):
                    yield from _in_unit(inner)
