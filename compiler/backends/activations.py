"""From a graph to what a training step does to memory: the steps of `tape`, the loss last.

What a layer keeps it says itself (`Layer.keeps`). Pointwise, PyTorch keeps both sides of `a * b` and `a / b`, what
comes into a power, and nothing of `a + b`. With bf16 and fp16 matrices are multiplied in two bytes an entry: what comes
in and the weight are cast for each of them anew, and the casts are kept; norms compute in float32. What depends on no
trained weight gets no gradient, and nothing is kept for it.

The loss is taken to be cross-entropy, which needs the most: for every number of an output it keeps the logarithm of a
probability, and makes two gradients, 4 bytes each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from ..ir.graph import (
    Apply,
    Call,
    Checkpoint,
    Copies,
    Experts,
    Graph,
    LayerModule,
    Loop,
    Module,
    Momentum,
    Node,
    Pointwise,
    Region,
    Residual,
    Unit,
    UnitModule,
    Value,
    input_type,
)
from ..ir.weights import layer_weights
from ..layers.base import Layer
from ..layers.convolution import Convolution
from ..layers.kept import Device, Kept, Part
from ..semantics.number import Number
from ..semantics.tensor import Tensor
from . import cudnn
from .sizes import Sizes
from .tape import Buffer, Step

FLOAT = 4
_WIDTHS = {"float": FLOAT, "int": 8, "bool": 1}
_KEEP_OUTPUT = frozenset({"exp", "sqrt"})
"""Of the mathematical functions those whose slope PyTorch works out from what goes out."""


@dataclass(frozen=True)
class Setting:
    """What the tape depends on besides the graph: the sizes of open dims, the bytes that matrices give an entry, where
    it runs, the keys of weights that are not trained, the outputs that the loss reads (None: all floats), and whether
    CUDA multiplies float32 on tensor cores (tf32)."""

    sizes: Sizes
    compute: int
    device: Device
    frozen: frozenset[str] = frozenset()
    scored: frozenset[str] | None = None
    tf32: bool = False


def tape(graph: Graph, setting: Setting) -> list[Step]:
    """The steps of a training step over one part of a batch, the loss last; first the part itself, which is there to
    the end."""
    walk = _Walk(setting)
    inputs = [walk.buffer(_tensor(value)) for value in graph.model.inputs]
    walk.steps.append(Step([], [], inputs))
    outputs = walk.unit(graph.model, inputs, "")
    names = graph.outputs or (None,) * len(outputs)
    losses: list[Buffer] = []
    for name, value, output in zip(names, graph.model.outputs, outputs, strict=True):
        scored = setting.scored is None or name in setting.scored
        if scored and output.trained and _tensor(value).dtype == "float":
            losses.append(walk.loss(output))
    if not losses:
        return []
    walk.step(losses, Buffer(1, FLOAT, True), passes=True)
    return walk.steps


def kept_by(graph: Graph, sizes: Sizes) -> int:
    """The bytes that autograd keeps of a model's forward pass on a CPU, where all that comes in gets gradients."""
    walk = _Walk(Setting(sizes, FLOAT, "cpu"))
    walk.unit(graph.model, [walk.buffer(_tensor(value), trained=True) for value in graph.model.inputs], "")
    return sum(buffer.bytes for buffer in {buffer for step in walk.steps for buffer in step.kept})


@dataclass
class _Walk:
    """Runs a graph on buffers. `way` is what begins the keys of the unit that is walked, last, and of those around."""

    setting: Setting
    steps: list[Step] = field(default_factory=list)
    values: dict[Value, Buffer] = field(default_factory=dict)
    way: tuple[str, ...] = ()
    # --- sizes ---

    def size(self, n: Number) -> int:
        return self.setting.sizes.of(n)

    def count(self, dims: Iterable[Number]) -> int:
        return prod(map(self.size, dims))

    def buffer(self, type_: Tensor, width: int | None = None, *, trained: bool = False) -> Buffer:
        is_float = type_.dtype == "float"
        return Buffer(self.count(type_.dims), (is_float and width) or _WIDTHS[type_.dtype], trained and is_float)

    def parts(self, parts: Iterable[Part]) -> list[Buffer]:
        there = [part for part in parts if not part.cast or self.setting.compute != FLOAT]
        return [Buffer(self.count(part.dims), part.width or self.setting.compute) for part in there]

    # --- units, regions, nodes ---

    def unit(self, unit: Unit, inputs: Sequence[Buffer], prefix: str) -> list[Buffer]:
        outer, self.values = self.values, dict(zip(unit.inputs, inputs, strict=True))
        self.way = (*self.way, prefix)
        self.nodes(unit, unit.nodes)
        outputs = [self.values[value] for value in unit.outputs]
        self.values, self.way = outer, self.way[:-1]
        return outputs

    def region(self, unit: Unit, region: Region, entering: Buffer) -> Buffer:
        self.values[region.input] = entering
        self.nodes(unit, region.nodes)
        return self.values[region.output]

    def nodes(self, unit: Unit, nodes: Iterable[Node]) -> None:
        for node in nodes:
            outputs = self.node(unit, node, [self.values[value] for value in node.inputs])
            self.values.update(zip(node.outputs, outputs, strict=True))

    def node(self, unit: Unit, node: Node, inputs: list[Buffer]) -> list[Buffer]:
        match node.op:
            case Apply(layer=layer):
                return self.layer(unit, node, layer, inputs)
            case Pointwise() as op:
                return [self.pointwise(op, inputs, self.result(node, inputs))]
            case Call():
                return [self.step(inputs, self.result(node, inputs), inputs)]
            case Residual() as op:
                return [self.residual(unit, op, inputs[0])]
            case Loop(count=count, body=body):
                flowing = inputs[0]
                for _ in range(self.size(count)):
                    flowing = self.region(unit, body, flowing)
                return [flowing]
            case Checkpoint(body=body):
                return [self.checkpoint(unit, body, inputs[0])]
        module, path, way = self.found(unit, node)
        before, self.way = self.way, way
        outputs = self.module(module, path, node, inputs)
        self.way = before
        return outputs

    def found(self, unit: Unit, node: Node) -> tuple[Module, str, tuple[str, ...]]:
        """The module that a node runs, its path, and what begins the keys of its unit and of those around that."""
        name = node.module or ""
        borrowed = unit.borrowed(name)
        if borrowed is None:
            return unit.module(name), f"{self.way[-1]}{name}", self.way
        way = self.way[: len(self.way) - borrowed.up]
        *units, last = borrowed.path
        if units:
            way = (*way, f"{way[-1]}{'.'.join(units)}.")
        return borrowed.module, f"{way[-1]}{last}", way

    def module(self, module: Module, path: str, node: Node, inputs: list[Buffer]) -> list[Buffer]:
        match module:
            case UnitModule(unit=inner):
                return self.unit(inner, inputs, f"{path}.")
            case Copies(units=units):
                flowing, *others = inputs
                for i, inner in enumerate(units):
                    flowing = self.unit(inner, [flowing, *others], f"{path}.{i}.")[0]
                return [flowing]
            case Experts():
                return [self.experts(module, path, node, inputs[0])]
            case Momentum():  # its steps keep nothing, for nothing in it learns
                return [self.buffer(_tensor(value)) for value in node.outputs]
        raise AssertionError(module)

    # --- operations ---

    def step(
        self,
        inputs: Sequence[Buffer],
        output: Buffer,
        kept: Sequence[Buffer] = (),
        weights: dict[str, int] | None = None,
        *,
        passes: bool = False,
        work: int = 0,
    ) -> Buffer:
        """Write an operation down; nothing is kept where no gradient will come."""
        if output.trained:
            self.steps.append(Step([*inputs], [output], [*kept], weights or {}, passes, work))
        return output

    def result(self, node: Node, inputs: Sequence[Buffer]) -> Buffer:
        """What an operation entry by entry gives: as wide as the widest of what comes in."""
        widths = [b.width for b, value in zip(inputs, node.inputs, strict=True) if _tensor(value).dtype == "float"]
        return self.buffer(
            _tensor(node.output), max(widths, default=None), trained=any(buffer.trained for buffer in inputs)
        )

    def pointwise(self, op: Pointwise, inputs: list[Buffer], output: Buffer) -> Buffer:
        if op.operator in ("+", "-", "neg"):
            return self.step(inputs, output, passes=op.operator != "neg")
        by_a_number = op.operator == "*" or (op.operator == "/" and op.left is None)
        if op.operator in _KEEP_OUTPUT:
            return self.step(inputs, output, [output])
        return self.step(inputs, output, [] if by_a_number and len(inputs) == 1 else inputs)

    def sum_of(self, a: Buffer, b: Buffer) -> Buffer:
        total = Buffer(max(a.count, b.count), max(a.width, b.width), a.trained or b.trained)
        return self.step([a, b], total, passes=True)

    def scaled(self, x: Buffer, by: Buffer | None = None) -> Buffer:
        """`x` times another value, or times a number."""
        sides = [x] if by is None else [x, by]
        made = Buffer(x.count, max(side.width for side in sides), any(side.trained for side in sides))
        return self.step(sides, made, sides if by is not None else ())

    def residual(self, unit: Unit, op: Residual, x: Buffer) -> Buffer:
        branch = self.region(unit, op.branch, x)
        skip = x if op.skip is None else self.region(unit, op.skip, x)
        if op.gate is not None:
            gate = self.region(unit, op.gate, x)
            total = self.sum_of(self.scaled(branch, gate), self.scaled(skip, self.scaled(gate)))
        else:
            total = self.sum_of(skip if op.scale is None else self.scaled(skip), branch)
        return total if op.after is None else self.region(unit, op.after, total)

    def checkpoint(self, unit: Unit, body: Region, x: Buffer) -> Buffer:
        """Only what comes in is kept; the steps inside are taken again before they go backward."""
        outer, self.steps = self.steps, []
        y = self.region(unit, body, x)
        inside, self.steps = self.steps, outer
        if y.trained:
            self.steps.append(Step([x], [y], [x], inside=inside))
        return y

    def experts(self, module: Experts, path: str, node: Node, x: Buffer) -> Buffer:
        """Each token goes through `top` of the experts: on average as many tokens through each."""
        top, count = self.size(module.top), self.size(module.count)
        scores = Buffer(self.count([*_tensor(node.output).dims[:-1], module.count]), FLOAT)
        sent = Buffer(x.count * top, x.width, True)
        router = self.trained(module.router, (*self.way, f"{path}."))
        self.step([x], sent, [x, scores, Buffer(scores.count, FLOAT)], router)
        came: list[Buffer] = []
        for i, expert in enumerate(module.units):
            rows = -(-sent.count // self.size(_tensor(node.output).dims[-1]) // count)
            setting, self.setting = (
                self.setting,
                replace(self.setting, sizes=self.setting.sizes.with_rows(expert, rows)),
            )
            part = Buffer(sent.count // count, sent.width, True)
            came += self.unit(expert, [part], f"{path}.experts.{i}.")
            self.setting = setting
        return self.step([*came, sent], self.buffer(_tensor(node.output), x.width, trained=True), came)

    def loss(self, output: Buffer) -> Buffer:
        """Cross-entropy: the logarithm of a probability for each number, and its gradient before that of the output."""
        logarithms = Buffer(output.count, FLOAT)
        # Both gradients are float32; that of an output in two bytes an entry comes of it when the rest is gone.
        work = 2 * logarithms.bytes - output.gradient
        return self.step([output], Buffer(1, FLOAT, True), [logarithms], work=work)

    # --- layers ---

    def layer(self, unit: Unit, node: Node, layer: Layer, inputs: list[Buffer]) -> list[Buffer]:
        if layer.idle() or layer.gives == "view":
            return inputs[:1] * len(node.outputs)
        weights = self.weights(unit, node)
        trained = bool(weights) or any(buffer.trained for buffer in inputs)
        types = [_tensor(value) for value in node.outputs]
        if layer.gives == "table":
            return [self.buffer(type_) for type_ in types]
        if layer.gives == "weight":
            held = self.buffer(types[0], trained=trained)
            held.held = True
            return [self.step([], held, weights=weights)]
        x_type = input_type(node)
        kept = layer.keeps(x_type, self.setting.device)
        fixed = {"low": self.setting.compute, "full": FLOAT, "same": None}[layer.autocast]
        came = inputs[0].width if layer.takes_running and x_type.dtype == "float" else None
        outputs = [self.buffer(type_, fixed or came, trained=trained) for type_ in types]
        if trained:
            held, work = self.held(kept, layer, x_type, inputs, fixed, learns=bool(weights))
            held += outputs if kept.output else []
            taken = self.library_work(layer, x_type, types[0])
            step = Step(inputs, outputs, held, weights, work=work + taken.backward, parts=kept.parts)
            step.forward_work = taken.forward
            self.steps.append(step)
        return outputs

    def library_work(self, layer: Layer, x: Tensor, y: Tensor) -> cudnn.Work:
        """What cuDNN takes for a layer."""
        if self.setting.device != "cuda" or not isinstance(layer, Convolution):
            return cudnn.Work()
        shapes = [[self.size(dim) for dim in dims] for dims in (x.dims, layer.parameters(x)["weight"].dims, y.dims)]
        width = self.setting.compute
        return cudnn.work(*shapes, width=width, tensor_cores=self.setting.tf32 or width != FLOAT)

    def held(
        self, kept: Kept, layer: Layer, x_type: Tensor, inputs: list[Buffer], width: int | None, *, learns: bool
    ) -> tuple[list[Buffer], int]:
        """What a layer keeps, but for what goes out, and the bytes that its backward pass makes for a while."""
        held, work = self.parts(kept.more), sum(buffer.bytes for buffer in self.parts(kept.work))
        shapes = layer.parameters(x_type).values()
        first = 1 if layer.takes_running else 0
        held += [inputs[side.place - 1 + first] for side in kept.sides]
        # A matrix needs what comes in only where it learns.
        if kept.input and first and (learns or layer.autocast != "low" or not shapes):
            x = inputs[0]
            if x_type.dtype == "float" and width is not None and x.width != width:
                x = Buffer(x.count, width)
                work += x.bytes
            held.append(x)
        if layer.autocast == "low" and self.setting.compute != FLOAT:
            casts = [Buffer(self.count(p.dims), self.setting.compute) for p in shapes if len(p.dims) > 1]
            held += casts
            work += sum(cast.bytes for cast in casts)
        return held, work

    def weights(self, unit: Unit, node: Node) -> dict[str, int]:
        """The trained tensors of the layer that a node runs, with their bytes."""
        if node.module is None:
            return {}
        module, _, way = self.found(unit, node)
        return self.trained(module, way) if isinstance(module, LayerModule) else {}

    def trained(self, module: LayerModule, way: tuple[str, ...]) -> dict[str, int]:
        """By the key of the tensor that it is, where it is another's."""
        keys = {weight.tied_to or weight.key: weight.count for weight in layer_weights(module, way)}
        return {key: FLOAT * count for key, count in keys.items() if key not in self.setting.frozen}


def _tensor(value: Value) -> Tensor:
    assert isinstance(value.type, Tensor)
    return value.type
