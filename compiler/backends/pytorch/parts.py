"""The parts of a model that a recipe names, as emitted code reaches them: `model.blocks[0].attn`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ...ir.graph import Apply, Call, Copies, Graph, LayerModule, Pointwise, Run, Unit, UnitModule, Value
from ...ir.weights import module_paths
from ...training.modules import ModuleName
from .experts import balance_of
from .lending import attribute
from .names import singular

Tree: TypeAlias = "dict[str, Tree]"
"""The names of modules, each with those inside it, in the order of the page."""
Write: TypeAlias = "Callable[[str, bool], list[str]]"
"""Statements about a part, given where it is (`model.head`), and whether it is a module: a `Weight` is a tensor."""

_TABLES = frozenset({"Embedding", "Positions", "RelativeBias"})
_RECURRENT = frozenset({"RNN", "LSTM", "GRU"})


@dataclass(frozen=True)
class Parts:
    """`paths` are those of all modules, `tensors` those of the ones that are nothing but a parameter; `outer` are the
    tables that come first in a model, and the Linears that come last, `recurrent` the RNNs, LSTMs and GRUs. `balanced`
    says that there are experts with a loss of their own."""

    paths: tuple[str, ...] = ()
    tensors: frozenset[str] = frozenset()
    outer: tuple[str, ...] = ()
    recurrent: tuple[str, ...] = ()
    balanced: bool = False

    def statements(self, name: ModuleName, write: Write) -> list[str]:
        """What `write` says of each module that `name` stands for; in a loop where that is every copy of a `repeat`."""
        tree: Tree = {}
        for path in self.paths:
            inside = tree
            for part in path.split("."):
                inside = inside.setdefault(part, {})
        levels = [replace(name, text=level).pattern for level in name.text.split(".")]
        return self._lines(levels, tree, (), "model", write)

    def _lines(self, levels: list[str], tree: Tree, path: tuple[str, ...], place: str, write: Write) -> list[str]:
        if not levels:
            return write(place, ".".join(path) not in self.tensors)
        found = [part for part in tree if re.fullmatch(levels[0], part)]
        if len(found) > 1 and found == list(tree) and all(part.isdecimal() for part in found):
            item = singular(path[-1])
            bodies = [self._lines(levels[1:], tree[part], (*path, part), item, write) for part in found]
            outermost = re.split(r"[.\[]", place)[0]
            if item != outermost and all(body == bodies[0] for body in bodies):
                return [f"for {item} in {place}:", *(f"    {line}" for line in bodies[0])]
        return [
            line
            for part in found
            for line in self._lines(levels[1:], tree[part], (*path, part), place + attribute([part]), write)
        ]


def parts_of(graph: Graph) -> Parts:
    """The parts of a model that is emitted."""
    layers = dict(_layers(graph.model, ""))
    tensors = frozenset(path for path, module in layers.items() if "" in module.layer.parameters(module.inputs[0]))
    tables = [path for path, module in layers.items() if module.layer.word in _TABLES]
    heads = [path for value in graph.model.outputs for path in _heads(value, graph.model, "")]
    return Parts(
        paths=tuple(module_paths(graph.model.modules)),
        tensors=tensors,
        outer=tuple(dict.fromkeys([*tables, *heads])),
        recurrent=tuple(path for path, module in layers.items() if module.layer.word in _RECURRENT),
        balanced=bool(balance_of(graph.model).runs),
    )


def _layers(unit: Unit, prefix: str) -> Iterator[tuple[str, LayerModule]]:
    for module in unit.modules:
        path = f"{prefix}{module.name}"
        match module:
            case LayerModule():
                yield path, module
            case UnitModule(unit=inner):
                yield from _layers(inner, f"{path}.")
            case Copies(units=units):
                for i, inner in enumerate(units):
                    yield from _layers(inner, f"{path}.{i}.")


def _heads(value: Value, unit: Unit, prefix: str) -> Iterator[str]:
    """The Linears that a value comes from with no other matrix in between."""
    node = next((node for node in unit.nodes if value in node.outputs), None)
    if node is None:
        return
    module = None if node.module is None or unit.borrowed(node.module) else unit.module(node.module)
    match node.op:
        case Apply() if isinstance(module, LayerModule) and module.layer.word == "Linear":
            yield f"{prefix}{module.name}"
        case Run() if isinstance(module, UnitModule):
            yield from _heads(module.unit.outputs[node.outputs.index(value)], module.unit, f"{prefix}{module.name}.")
        case Apply() | Pointwise() | Call() if not _has_matrices(module):
            for before in node.inputs:
                yield from _heads(before, unit, prefix)


def _has_matrices(module: object) -> bool:
    if not isinstance(module, LayerModule):
        return False
    return any(len(parameter.dims) > 1 for parameter in module.layer.parameters(module.inputs[0]).values())
