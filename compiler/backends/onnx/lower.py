"""Walks a unit and writes its nodes, those of evaluation.

A node is called after its module's checkpoint path, a function after the path of the unit it stands in
(`blocks.0.mlp.gelu`), what stands there twice is numbered down the page. A unit that is run a second time writes its
nodes anew, over the same parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...ir.graph import (
    Apply,
    Call,
    Checkpoint,
    Copies,
    Experts,
    Loop,
    Module,
    Momentum,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCarrying,
    RunCopies,
    RunExperts,
    RunMomentum,
    Unit,
    UnitModule,
    input_type,
)
from ...ir.graph import Value as IrValue
from ...layers.base import NoOnnxForm
from ...layers.registry import stem
from ...scalars.expression import Constant, substitute
from ...scalars.onnx_nodes import OPERATOR_NAMES, onnx_nodes
from ...semantics.number import real, whole
from ...semantics.tensor import Tensor
from .builder import OnnxBuilder, OnnxValue
from .experts import write_experts
from .pointwise import pointwise


def lower(
    g: OnnxBuilder, unit: Unit, inputs: Sequence[OnnxValue], place: str = "", way: tuple[str, ...] = ("",)
) -> tuple[OnnxValue, ...]:
    """Write the nodes of `unit` and return its outputs.

    `place` begins the names of its nodes; `way` is what begins the checkpoint keys of its parameters, last, and those
    of the units around it. Each is empty or ends in a dot. Raises NoOnnxForm.
    """
    body = _Body(g, unit, place, way)
    body.bind(unit.inputs, inputs)
    body.write(unit.nodes)
    return body.values(unit.outputs)


class _Body:
    """A unit whose nodes are being written, the flows inside its operations included."""

    def __init__(self, g: OnnxBuilder, unit: Unit, place: str, way: tuple[str, ...]) -> None:
        self._g, self._unit, self._place, self._way = g, unit, place, way
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
                return self._layer(node, inputs, name, self._path(node.module) if node.module else "")
            case Pointwise() as op:
                name = self._name(node, OPERATOR_NAMES.get(op.operator, op.operator))
                types = [tensor_type(value) for value in node.inputs]
                return (pointwise(self._g, op, list(inputs), types, tensor_type(node.output), name),)
            case Call() as op:
                return (self._call(node, op, inputs),)
            case Residual() as op:
                return (self._residual(node, op, inputs[0]),)
            case Loop(count=count, body=body):
                x = inputs[0]
                for _ in range(whole(count)):
                    x = self._region(body, x)
                return (x,)
            case Checkpoint(body=body):
                return (self._region(body, inputs[0]),)
            case Run(units=units):
                return self._run(node, inputs, units)
            case RunCopies(units=units):
                return self._run_copies(node, inputs, units)
            case RunExperts():
                return (self._experts(node, inputs[0]),)
            case RunMomentum():
                return self._run_momentum(node, inputs)
            case RunCarrying():
                # Only what is emitted with kernels has it.
                raise NoOnnxForm("copies that hand their sums on")

    def _layer(self, node: Node, inputs: tuple[OnnxValue, ...], name: str, path: str) -> tuple[OnnxValue, ...]:
        assert isinstance(node.op, Apply)
        layer = node.op.layer
        if layer.no_onnx:
            raise NoOnnxForm(layer.no_onnx)
        if not layer.takes_running:
            inputs = (self._g.nothing, *inputs)
        with self._g.beside(inputs):
            return layer.onnx(self._g, inputs[0], input_type(node), name, path)

    def _call(self, node: Node, op: Call, inputs: tuple[OnnxValue, ...]) -> OnnxValue:
        """A function of the file, its text in place of its name."""
        sides = iter(zip(inputs, node.inputs, strict=True))
        flowing: dict[str, tuple[OnnxValue, Tensor]] = {}
        numbers: dict[str, Constant] = {}
        for parameter, given in zip(op.function.parameters, op.arguments, strict=True):
            if given is None:
                value, seen = next(sides)
                flowing[parameter.name] = value, tensor_type(seen)
            else:
                numbers[parameter.name] = Constant(given)
        expression = substitute(op.function.value, numbers)
        value, _ = onnx_nodes(self._g, expression, flowing, self._name(node, op.function.name))
        return value

    def _residual(self, node: Node, op: Residual, x: OnnxValue) -> OnnxValue:
        name, type_ = self._name(node, "residual"), tensor_type(node.output)
        if op.after is not None:
            type_ = tensor_type(op.after.input)
        h = self._region(op.branch, x)
        side = x if op.skip is None else self._region(op.skip, x)
        self._g.at(name)
        if op.gate is not None:
            gate = self._region(op.gate, x)
            self._g.at(name)
            rest = self._g.op("Sub", [self._g.number(1), gate], type_, f"{name}.rest")
            h = self._g.op("Mul", [gate, h], type_, f"{name}.gated")
            side = self._g.op("Mul", [rest, side], type_, f"{name}.kept")
        elif op.scale is not None:
            side = self._g.op("Mul", [self._g.number(real(op.scale)), side], type_, f"{name}.scaled")
        y = self._g.op("Add", [side, h], type_, name)
        return y if op.after is None else self._region(op.after, y)

    def _region(self, region: Region, x: OnnxValue) -> OnnxValue:
        self.bind([region.input], [x])
        self.write(region.nodes)
        return self._values[region.output]

    def _run(self, node: Node, inputs: tuple[OnnxValue, ...], units: Sequence[Unit]) -> tuple[OnnxValue, ...]:
        module = self._module(node)
        assert isinstance(module, UnitModule)
        (unit,) = units or (module.unit,)
        return lower(self._g, unit, inputs, f"{self._name(node, '')}.", self._inside(node))

    def _run_copies(self, node: Node, inputs: tuple[OnnxValue, ...], units: Sequence[Unit]) -> tuple[OnnxValue, ...]:
        module = self._module(node)
        assert isinstance(module, Copies)
        place, way = self._name(node, ""), self._inside(node)
        x, *others = inputs
        found: tuple[OnnxValue, ...] = (x,)
        for i, unit in enumerate(units or module.units):
            found = lower(self._g, unit, [found[0], *others], f"{place}.{i}.", (*way[:-1], f"{way[-1]}{i}."))
        return found

    def _experts(self, node: Node, x: OnnxValue) -> OnnxValue:
        module = self._module(node)
        assert isinstance(module, Experts)
        name, way = self._name(node, ""), self._inside(node)

        def expert(i: int, tokens: OnnxValue) -> OnnxValue:
            inside = (*way[:-1], f"{way[-1]}experts.{i}.")
            (given,) = lower(self._g, module.units[i], [tokens], f"{name}.experts.{i}.", inside)
            self._g.at(name)
            return given

        types = [tensor_type(node.inputs[0]), tensor_type(node.output)]
        return write_experts(self._g, module, x, types, name, way[-1].removesuffix("."), expert)

    def _run_momentum(self, node: Node, inputs: tuple[OnnxValue, ...]) -> tuple[OnnxValue, ...]:
        copy = self._module(node)
        assert isinstance(copy, Momentum)
        if isinstance(copy.of, UnitModule):
            return lower(self._g, copy.of.unit, inputs, f"{self._name(node, '')}.", self._inside(node))
        layer, name = copy.of.layer, self._name(node, stem(copy.of.layer.word))
        with self._g.beside(inputs):
            return layer.onnx(self._g, inputs[0], copy.of.inputs[0], name, self._path(node.module or ""))

    def _module(self, node: Node) -> Module:
        assert node.module is not None
        return self._unit.module(node.module)

    def _path(self, name: str) -> str:
        """The checkpoint path of a module of this unit, or of the one that it is borrowed from."""
        borrowed = self._unit.borrowed(name)
        if borrowed is None:
            return f"{self._way[-1]}{name}"
        return f"{self._way[-1 - borrowed.up]}{'.'.join(borrowed.path)}"

    def _inside(self, node: Node) -> tuple[str, ...]:
        """The way of a unit that is run."""
        assert node.module is not None
        borrowed = self._unit.borrowed(node.module)
        if borrowed is None:
            return (*self._way, f"{self._way[-1]}{node.module}.")
        way = self._way[: len(self._way) - borrowed.up]
        for part in borrowed.path:
            # A copy is one unit, `blocks.0`, and two parts of a path.
            inside = f"{way[-1]}{part}."
            way = (*way[:-1], inside) if part.isdecimal() else (*way, inside)
        return way

    def _name(self, node: Node, function: str) -> str:
        """The place of a node, which its ONNX nodes are marked with from here on."""
        first = node.module.lstrip("^") if node.module else function
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
