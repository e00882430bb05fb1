"""What a model costs before anything runs: parameters, floating-point operations, memory of training.

weights      4 bytes a number: they are float32 whatever the precision. Parameters, running statistics and momentum
             copies; the parameters twice where a moving average of them is kept (`ema`)
gradients    4 bytes a trained parameter
optimizer    4 bytes a trained parameter and moment: two for Adam and AdamW, one for SGD with momentum, none without;
             for Adafactor 4 bytes a row and column of each matrix, and one moment of what is no matrix
activations  the most that there is at once of what autograd keeps of one part of the batch (batch / accumulate), of the
             gradients of what flows, and of what an operation needs for itself

The peak is less than their sum, for gradients of weights come as activations go. It is the largest of these moments,
each with the weights and the optimizer's state:

    forward pass    what is kept so far, and what an operation takes and gives
    backward pass   what is still kept, the gradients of weights so far, those of what an operation gave and took, and
                    what it needs for itself; the first operation is the loss (see `activations` and `tape`)
    update          all gradients, and what the optimizer works out: nothing where one kernel updates all weights
                    (Adam, AdamW, SGD), else as much again on CUDA, which takes all weights at once, and its moments
                    of the largest weight on a CPU, which takes one after the other (of Adafactor the step of that
                    weight, and the one before, which goes when this one is there)

On CUDA what cuBLAS works in is there all the time, and what cuDNN takes while it runs (see `cudnn`). What the context
takes and what the allocator loses at the seams comes on top: some hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Literal

from ..ir.beside import python_layers
from ..ir.graph import Graph
from ..ir.weights import Weight, buffers, weights
from ..layers.kept import Device
from .activations import FLOAT, Setting, tape
from .layer_costs import LayerCost, unit_layers
from .sizes import Sizes, open_dims
from .tape import peak

_CUBLAS = 65 << 20
"""32 MiB for each of two threads, that of the forward pass and that of the backward pass, and 1 MiB for cuBLASLt."""

Precision = Literal["fp32", "tf32", "bf16", "fp16"]


@dataclass(frozen=True)
class Training:
    """What a recipe adds to a model. `moments` is how many numbers the optimizer keeps for each trained parameter;
    `frozen` are the keys of weights that are not trained, `scored` the outputs that the loss reads (None: all)."""

    batch: int = 1
    accumulate: int = 1
    precision: Precision = "fp32"
    moments: int = 0
    other_moments: Mapping[str, int] = field(default_factory=dict)
    """How many it keeps for weights of which that is another number, by key."""
    factored: bool = False
    """Whether the optimizer keeps the sums of a matrix's rows and columns (Adafactor), beside `moments`."""
    frozen: frozenset[str] = frozenset()
    scored: frozenset[str] | None = None
    fused: bool = False
    """Whether the optimizer updates the weights without memory of its own."""
    averages: bool = False
    """Whether a moving average of the weights is kept."""
    device: Device = "cpu"
    dims: Mapping[str, int] = field(default_factory=dict)
    """Open dims that the data makes known, by name."""

    @property
    def part(self) -> int:
        """Examples that are computed at once."""
        return -(-self.batch // self.accumulate)


@dataclass(frozen=True)
class Memory:
    """Bytes. Each part is the most that there is of it; they are not all there at once."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    peak: int


@dataclass(frozen=True)
class Plan:
    """`sizes` is what open dims were counted with, `unbounded` those that have no limit and were counted as small
    as they may be; `uncounted` are layers written in Python, whose operations and activations only PyTorch knows."""

    parameters: int
    trainable_parameters: int
    flops_per_sample: int
    memory: Memory
    layers: tuple[LayerCost, ...]
    training: Training
    sizes: Mapping[str, int]
    unbounded: tuple[str, ...]
    uncounted: tuple[str, ...]


def plan(graph: Graph, training: Training = Training()) -> Plan:
    """The costs of a model that learns as `training` says, open dims at their limits."""
    batch, sizes, unbounded = open_dims(graph, training.dims)
    layers = tuple(unit_layers(graph.model, "", Sizes(sizes | batch), alike=False))
    parameters = _own(weights(graph))
    trained = [weight for weight in parameters if weight.key not in training.frozen]
    flops = sum(layer.flops for layer in layers)
    memory = _memory(graph, training)
    uncounted = tuple(dict.fromkeys(layer.word for layer in python_layers(graph)))
    counts = _count(parameters), _count(trained)
    return Plan(*counts, flops, memory, layers, training, sizes, unbounded, uncounted)


def layers_together(graph: Graph, training: Training = Training()) -> list[LayerCost]:
    """The layers for a table: neighbouring copies of a `repeat` that cost the same are one row, their costs added."""
    batch, sizes, _ = open_dims(graph, training.dims)
    return list(unit_layers(graph.model, "", Sizes(sizes | batch), alike=True))


def largest_batch(graph: Graph, training: Training, memory: int) -> int:
    """The most examples that can be computed at once where training may take so many bytes; 0 where not even one."""

    def fits(batch: int) -> bool:
        return _memory(graph, replace(training, batch=batch, accumulate=1)).peak <= memory

    low, high = 0, 1
    while fits(high):
        low, high = high, high * 2
        if high > 1 << 40:  # nothing grows with the batch
            return low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _memory(graph: Graph, training: Training) -> Memory:
    parameters = _own(weights(graph))
    trained = [weight for weight in parameters if weight.key not in training.frozen]
    gradients = FLOAT * _count(trained)
    held = FLOAT * (_count(parameters) * (2 if training.averages else 1) + _count(buffers(graph)))
    kept = sum(weight.count * training.other_moments.get(weight.key, training.moments) for weight in trained)
    optimizer = FLOAT * kept + (FLOAT * sum(map(_sums, trained)) if training.factored else 0)
    batch, sizes, _ = open_dims(graph, training.dims)
    known = Sizes(sizes | dict.fromkeys(batch, training.part))
    compute = 2 if training.precision in ("bf16", "fp16") else FLOAT
    tf32 = training.precision == "tf32"
    steps = tape(graph, Setting(known, compute, training.device, training.frozen, training.scored, tf32))
    found = peak(steps, gradients_there=gradients if training.accumulate > 1 else 0)
    largest = FLOAT * max((weight.count for weight in trained), default=0)
    worked_out = gradients if training.device == "cuda" else (training.moments + 2 * training.factored) * largest
    update = gradients + (0 if training.fused else worked_out)
    libraries = _CUBLAS if training.device == "cuda" else 0
    at_most = held + optimizer + max(found.total, update) + libraries
    return Memory(held, gradients, optimizer, found.activations, at_most)


def _sums(weight: Weight) -> int:
    """How many numbers hold the squared gradients of a weight by their sums: one for each row and each column of its
    last two axes, and all of them where it has but one axis."""
    if len(weight.shape) < 2:
        return weight.count
    *outer, rows, columns = weight.shape
    return prod(outer) * (rows + columns)


def _own(found: Iterable[Weight]) -> list[Weight]:
    """Those that are no other's."""
    return [weight for weight in found if not weight.shared]


def _count(found: Iterable[Weight]) -> int:
    return sum(weight.count for weight in found)
