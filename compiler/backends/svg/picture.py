"""A graph as a figure: sketched, folded, and told in numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ...ir.graph import Graph
from ...ir.weights import parameter_count
from ...semantics.arithmetic import spell
from ...semantics.number import Reference, written
from .figure import Figure, Flow
from .fold import fold_blocks, fold_runs
from .sketch import sketch


def figure(graph: Graph) -> Figure:
    """What is drawn of a model: blocks used at several places once, runs of equal blocks as one."""
    flow, blocks = fold_blocks(sketch(graph))
    flow = fold_runs(flow)
    blocks = tuple(replace(b, inside=fold_runs(b.inside)) for b in blocks if b.inside is not None)
    words = set(_words(flow)).union(*(_words(b.inside) for b in blocks if b.inside is not None))
    told = [_told(constant) for constant in graph.constants if constant.name in words]
    parameters = f"{parameter_count(graph):,} parameters"
    return Figure(graph.model.name, parameters, (", ".join(told),) if told else (), flow, blocks)


def _words(flow: Flow) -> Iterator[str]:
    """Every word that is drawn."""
    for text in flow.shapes.values():
        yield from re.findall(r"\w+", text)
    for item in flow.items:
        yield from re.findall(r"\w+", f"{item.title} {item.details}")
        if item.inside is not None:
            yield from _words(item.inside)


def _told(constant: Reference) -> str:
    """A constant with its value: `dim = 768`, `hidden = 4 * dim = 3072`."""
    target, value = constant.target, constant.value
    if target is None or value is None:
        return constant.name
    formula, plain = written(target), spell(value)
    same = formula.replace("_", "") == plain
    return f"{constant.name} = {formula}" if same else f"{constant.name} = {formula} = {plain}"
