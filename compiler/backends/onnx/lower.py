"""Walks a unit and writes its nodes, those of evaluation.

A node is called after its module's checkpoint path, a function after the path of the unit it stands in
(`blocks.0.mlp.gelu`), what stands there twice is numbered down the page. A unit that is run a second time writes its
nodes anew, over the same parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...ir.graph import (
    Apply,
    Copies,
    LayerModule,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCopies,
    Unit,
    UnitModule,
    input_type,
)
from ...ir.graph import Value as IrValue
from ...layers.registry import stem
from ...semantics.tensor import Tensor
from .builder import OnnxBuilder, OnnxValue
from .pointwise import pointwise

_OPERATOR_NAMES = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "divide_whole",
    "%": "remainder",
    "^": "power",
    "neg": "negate",
    "==": "equal",
    "!=": "differ",
    "<": "less",
    "<=": "at_most",
    ">": "greater",
    ">=": "at_least",
}


def lower(
    g: OnnxBuilder, unit: Unit, inputs: Sequence[OnnxValue], place: str = "", path: str = ""
) -> tuple[OnnxValue, ...]:
    """Write the nodes of `unit` and return its outputs.

    `place` begins the names of its nodes, `path` the checkpoint keys of its parameters; each is empty or ends in a dot.
    """
    body = _Body(g, unit, place, path)
    body.bind(unit.inputs, inputs)
    body.write(unit.nodes)
    return body.values(unit.outputs)


class _Body:
    """A unit whose nodes are being written, residuals' branches included."""

    def __init__(self, g: OnnxBuilder, unit: Unit, place: str, path: str) -> None:
        self._g, self._unit, self._place, self._path = g, unit, place, path
        self._values: dict[IrValue, OnnxValue] = {}
        self._labels = {module.name for module in unit.modules}
        self._used: set[str] = set()

    def bind(self, inner: Iterable[IrValue], outer: Iterable[OnnxValue]) -> None:
        self._values.update(zip(inner, outer, strict=True))

    def values(self, inner: Iterable[IrValue]) -> tuple[OnnxValue, ...]:
        return tuple(self._values[value] for value in inner)

    def write(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self.bind(node.outputs, self._node(node))

    def _node(self, node: Node) -> tuple[OnnxValue, ...]:
        inputs = self.values(node.inputs)
        match node.op:
            case Apply(layer=layer):
                if layer.trains_only or layer.idle():
                    return inputs[:1]
                name = self._name(node, stem(layer.word))
                path = f"{self._path}{node.module}" if node.module else ""
                if not layer.takes_running:
                    inputs = (self._g.nothing, *inputs)
                with self._g.beside(inputs):
                    return layer.onnx(self._g, inputs[0], input_type(node), name, path)
            case Pointwise() as op:
                name = self._name(node, _OPERATOR_NAMES[op.operator])
                types = [tensor_type(value) for value in node.inputs]
                return (pointwise(self._g, op, list(inputs), types, tensor_type(node.output), name),)
            case Residual() as op:
                return (self._residual(node, op, inputs),)
            case Run():
                return self._run(node, inputs)
            case RunCopies():
                return self._run_copies(node, inputs)

    def _residual(self, node: Node, op: Residual, inputs: tuple[OnnxValue, ...]) -> OnnxValue:
        name = self._name(node, "residual")
        branch = self._region(op.branch, inputs[0])
        self._g.at(name)
        y = self._g.op("Add", [inputs[0], branch], tensor_type(node.output), name)
        return y if op.after is None else self._region(op.after, y)

    def _region(self, region: Region, x: OnnxValue) -> OnnxValue:
        self.bind([region.input], [x])
        self.write(region.nodes)
        return self._values[region.output]

    def _run(self, node: Node, inputs: tuple[OnnxValue, ...]) -> tuple[OnnxValue, ...]:
        module = self._module(node)
        assert isinstance(module, UnitModule)
        return lower(self._g, module.unit, inputs, f"{self._name(node, '')}.", f"{self._path}{module.name}.")

    def _run_copies(self, node: Node, inputs: tuple[OnnxValue, ...]) -> tuple[OnnxValue, ...]:
        module = self._module(node)
        assert isinstance(module, Copies)
        place = self._name(node, "")
        x, *others = inputs
        found: tuple[OnnxValue, ...] = (x,)
        for i, unit in enumerate(module.units):
            found = lower(self._g, unit, [found[0], *others], f"{place}.{i}.", f"{self._path}{module.name}.{i}.")
        return found

    def _module(self, node: Node) -> LayerModule | UnitModule | Copies:
        assert node.module is not None
        return self._unit.module(node.module)

    def _name(self, node: Node, function: str) -> str:
        """The place of a node, which its ONNX nodes are marked with from here on."""
        first = node.module or function
        name, count = first, 1
        # A module's own name is for its first run only.
        while name in self._used or (name in self._labels and name != node.module):
            count += 1
            name = f"{first}_{count}"
        self._used.add(name)
        self._g.at(f"{self._place}{name}")
        return f"{self._place}{name}"


def tensor_type(value: IrValue) -> Tensor:
    """The type of a value of a checked graph."""
    assert isinstance(value.type, Tensor), value.type
    return value.type
