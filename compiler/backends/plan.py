"""What a model costs before anything runs: parameters, floating-point operations, memory of training.

    peak = weights + gradients + optimizer + activations

weights      4 bytes a parameter: they are float32 whatever the precision
gradients    as much again
optimizer    4 bytes a parameter and moment: two for Adam and AdamW, one for SGD with momentum, none without
activations  what autograd keeps of one part of the batch (batch / accumulate) until the backward pass, and what the
             loss needs at once: see `activations`

All of it is there together where the backward pass begins, which is the peak. What CUDA and its libraries take for
themselves, and what the allocator loses at the seams, comes on top: some hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..ir.graph import Apply, Copies, Graph, LayerModule, Node, Region, Residual, Unit, UnitModule
from ..ir.weights import module_weights, parameter_count
from ..layers.registry import stem
from ..semantics.number import Number, Operation, Reference, apply, limit, number, spelled
from ..semantics.number import Value as Exact
from ..semantics.tensor import Tensor
from .activations import Precision, kept_bytes

FLOAT = 4


@dataclass(frozen=True)
class Training:
    """What a recipe adds to a model: `moments` is how many numbers the optimizer keeps for each parameter."""

    batch: int = 1
    accumulate: int = 1
    precision: Precision = "fp32"
    moments: int = 0

    @property
    def part(self) -> int:
        """Examples that are computed at once."""
        return -(-self.batch // self.accumulate)


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def peak(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class LayerCost:
    """A layer or function at its place in the model; `flops` are those of one example's forward pass."""

    name: str
    type: str
    shape: tuple[int | str, ...]
    parameters: int
    flops: int


@dataclass(frozen=True)
class Plan:
    """`sizes` is what open dims were counted with, `unbounded` those that nothing bounds and that were counted as 1."""

    parameters: int
    trainable_parameters: int
    flops_per_sample: int
    memory: Memory
    layers: tuple[LayerCost, ...]
    training: Training
    sizes: Mapping[str, int]
    unbounded: tuple[str, ...]


def plan(graph: Graph, training: Training = Training()) -> Plan:
    """The costs of a model that learns as `training` says, open dims at their limits."""
    batch, sizes, unbounded = _open_dims(graph)
    parameters = parameter_count(graph)
    layers = tuple(_unit_layers(graph.model, "", Sizes(sizes | batch), alike=False))
    memory = Memory(
        weights=FLOAT * parameters,
        gradients=FLOAT * parameters,
        optimizer=FLOAT * training.moments * parameters,
        activations=_activations(graph, training),
    )
    flops = sum(layer.flops for layer in layers)
    return Plan(parameters, parameters, flops, memory, layers, training, sizes, unbounded)


def layers_together(graph: Graph) -> list[LayerCost]:
    """The layers for a table: neighbouring copies of a `repeat` that cost the same are one row, their costs added."""
    batch, sizes, _ = _open_dims(graph)
    return list(_unit_layers(graph.model, "", Sizes(sizes | batch), alike=True))


def largest_batch(graph: Graph, training: Training, memory: int) -> int:
    """The most examples that can be computed at once where training may take so many bytes; 0 where not even one."""
    low, high = 0, 1
    while _peak(graph, training, high) <= memory:
        low, high = high, high * 2
        if high > 1 << 40:  # nothing grows with the batch
            return low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _peak(graph, training, middle) <= memory else (low, middle)
    return low


def _peak(graph: Graph, training: Training, batch: int) -> int:
    at_once = replace(training, batch=batch, accumulate=1)
    fixed = FLOAT * (2 + training.moments) * parameter_count(graph)
    return fixed + _activations(graph, at_once)


def _activations(graph: Graph, training: Training) -> int:
    batch, sizes, _ = _open_dims(graph)
    known = Sizes(sizes | dict.fromkeys(batch, training.part))
    return kept_bytes(graph, known.of, training.precision)


# --- open dims -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """What open dims are counted with, by name."""

    known: Mapping[str, int]

    def of(self, n: Number) -> int:
        return int(self._exact(n))

    def _exact(self, n: Number) -> Exact:
        if n.value is not None:
            return n.value
        match n:
            case Reference(target=None, name=name):
                return number(self.known[name]).value
            case Reference(target=target):
                assert target is not None
                return self._exact(target)
            case Operation(operator=operator, operands=operands):
                return apply(operator, *map(self._exact, operands))
        raise AssertionError(n)


def _open_dims(graph: Graph) -> tuple[dict[str, int], dict[str, int], tuple[str, ...]]:
    """The batch, as one example; all other open dims with their limits; the names of those that have none.

    The batch is what the first axis of the inputs is called.
    """
    batch: dict[str, int] = {}
    sizes: dict[str, int] = {}
    unbounded: list[str] = []
    types = [value.type for value in graph.model.inputs if isinstance(value.type, Tensor)]
    for type_ in types:
        for axis, dim in enumerate(type_.dims):
            for reference in _open_references(dim):
                name, most = reference.name, limit(reference)
                if name in sizes or name in batch:
                    continue
                if axis == 0:
                    batch[name] = 1
                    continue
                sizes[name] = 1 if most is None else int(most)
                if most is None:
                    unbounded.append(name)
    return batch, sizes, tuple(unbounded)


def _open_references(n: Number) -> Iterator[Reference]:
    match n:
        case Reference(target=None):
            yield n
        case Reference(target=target) if target is not None:
            yield from _open_references(target)
        case Operation(operands=operands):
            for operand in operands:
                yield from _open_references(operand)


# --- layers ----------------------------------------------------------------------------------------------------


def _unit_layers(unit: Unit, prefix: str, sizes: Sizes, *, alike: bool) -> Iterator[LayerCost]:
    paid: set[str] = set()  # a module that runs again costs no further parameters
    used: dict[str, int] = {}

    def costs(nodes: tuple[Node, ...]) -> Iterator[LayerCost]:
        for node in nodes:
            if isinstance(node.op, Residual):
                yield from _region_costs(node.op.branch)
                if node.op.after is not None:
                    yield from _region_costs(node.op.after)
                continue
            module = unit.module(node.module) if node.module else None
            if isinstance(node.op, Apply):
                yield _layer(node, module if isinstance(module, LayerModule) else None)
            elif isinstance(module, UnitModule):
                inside = _unit_layers(module.unit, f"{prefix}{module.name}.", sizes, alike=alike)
                yield from _first_time(module.name, inside)
            elif isinstance(module, Copies):
                yield from _first_time(module.name, _copies_layers(module, prefix, sizes, alike=alike))

    def _region_costs(region: Region) -> Iterator[LayerCost]:
        yield from costs(region.nodes)

    def _first_time(name: str, inside: Iterator[LayerCost]) -> Iterator[LayerCost]:
        again = name in paid
        paid.add(name)
        for cost in inside:
            yield replace(cost, parameters=0) if again else cost

    def _layer(node: Node, module: LayerModule | None) -> LayerCost:
        assert isinstance(node.op, Apply)
        layer = node.op.layer
        entering, leaving = node.inputs[0].type, node.output.type
        assert isinstance(entering, Tensor) and isinstance(leaving, Tensor)
        name = module.name if module else stem(layer.word)
        if module is None:
            used[name] = used.get(name, 0) + 1
            name = name if used[name] == 1 else f"{name}_{used[name]}"
        flops = layer.flops(entering)
        parameters = 0
        if module is not None and module.name not in paid:
            paid.add(module.name)
            parameters = sum(w.count for w in module_weights(module, "") if not w.shared)
        counted = 0 if flops is None else sizes.of(flops)
        return LayerCost(f"{prefix}{name}", layer.word, _shape(leaving), parameters, counted)

    yield from costs(unit.nodes)


def _copies_layers(module: Copies, prefix: str, sizes: Sizes, *, alike: bool) -> Iterator[LayerCost]:
    runs: list[tuple[int, int, list[LayerCost]]] = []
    for index, unit in enumerate(module.units):
        inside = list(_unit_layers(unit, "", sizes, alike=alike))
        if alike and runs and runs[-1][2] == inside:
            first, _, same = runs[-1]
            runs[-1] = (first, index, same)
        else:
            runs.append((index, index, inside))
    for first, last, inside in runs:
        count = last - first + 1
        which = f"{first}" if count == 1 else f"{first}-{last}"
        for cost in inside:
            yield LayerCost(
                f"{prefix}{module.name}.{which}.{cost.name}",
                cost.type,
                cost.shape,
                cost.parameters * count,
                cost.flops * count,
            )


def _shape(type_: Tensor) -> tuple[int | str, ...]:
    """Known dims as numbers, open ones as they are called."""
    return tuple(int(d.value) if d.value is not None else spelled(d, _outermost) for d in type_.dims)


def _outermost(reference: Reference) -> str:
    """An open dim by the name that the model's input gives it."""
    target = reference.target
    if target is None or reference.value is not None:
        return reference.name
    return spelled(target, _outermost)
