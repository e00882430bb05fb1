"""The memory of a training step on a GPU: its peak, the moments on the way, and what a deviation is explained by.

What is counted is what PyTorch's caching allocator has given out, which it rounds up to 512 bytes: weights, gradients,
the optimizer's state, the batch, activations, and what cuBLAS and cuDNN take through it to work in. The CUDA context
and what the allocator holds back are not counted: they are nobody's tensors.

The second step is measured, by the loop's own learner: the optimizer's state and cuBLAS's workspaces are there by then.
The third is taken apart, operation by operation.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from memory_case import Case
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils._python_dispatch import TorchDispatchMode

from dlspec.runtime.isolation import borrow
from dlspec.runtime.learner import Batch, Learner
from dlspec.runtime.preparation import wanted
from dlspec.runtime.settings import Phase

DEVICE = torch.device("cuda")
SHOWN = 15
"""How many operations of the third step are told of each phase."""


@dataclass
class Meter:
    """Bytes that the allocator gave out, above those at the beginning. `peaks` are the most within each phase, `ends`
    what was there when it ended."""

    start: int = field(default_factory=lambda: _allocated("current"))
    phase: str = ""
    peaks: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return _allocated("current") - self.start

    @property
    def peak(self) -> int:
        """Since the phase began."""
        return _allocated("peak") - self.start

    def begin(self, phase: str) -> None:
        self.end()
        self.phase = phase
        torch.cuda.reset_peak_memory_stats()

    def end(self) -> None:
        if self.phase:
            self.peaks[self.phase], self.ends[self.phase] = self.peak, self.held
        self.phase = ""


@dataclass(frozen=True)
class Saved:
    """Tensors of a kind that autograd keeps, each storage told where it is met first, from the loss backward."""

    operation: str
    what: str
    dtype: str
    shape: list[int]
    bytes: int
    """Of one of them."""
    count: int


class MeteredLearner(Learner):
    """Tells the meter when forward pass, loss and backward pass begin."""

    meter: Meter
    wants_saved: bool = False
    saved: list[Saved]

    def values_of(self, batch: Batch, model: nn.Module | None = None, phase: Phase | None = None) -> Mapping[str, Any]:
        self.meter.begin("forward")
        return super().values_of(batch, model, phase)

    def loss_of(self, values: Mapping[str, Any], phase: Phase) -> Tensor:
        self.meter.begin("loss")
        loss = super().loss_of(values, phase)
        self.meter.begin("backward")
        if self.wants_saved:
            own = {tensor.untyped_storage().data_ptr() for tensor in (*self.model.parameters(), *self.model.buffers())}
            self.saved = saved_tensors(loss, own)
        return loss

    def step(self, turn: Any, examples: Batch, number: int) -> None:
        """A step as the loop takes it, its phases metered; what the last one left of gradients is cleared before."""
        self.optimizer.zero_grad(set_to_none=True)
        self.meter.begin("before")
        self.compute_gradients(turn, examples, number)
        self.meter.begin("update")
        self.apply_gradients(1e-4)
        self.meter.end()


@dataclass
class Operation:
    """What an operation did: the allocator before it, at its most, and after it; `work` is the part of the most that
    neither was there before nor is after."""

    phase: str
    name: str
    shapes: str
    before: int
    peak: int
    after: int

    @property
    def work(self) -> int:
        return self.peak - max(self.before, self.after)


class Operations(TorchDispatchMode):
    """Meters every operation, of the backward pass too."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self.meter = meter
        self.seen: list[Operation] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = ", ".join(_told(tensor) for tensor in _tensors((args, kwargs or {})))
        before = self.meter.held
        torch.cuda.reset_peak_memory_stats()
        result = func(*args, **(kwargs or {}))
        name = str(func).removeprefix("aten.")
        self.seen.append(Operation(self.meter.phase, name, shapes[:200], before, self.meter.peak, self.meter.held))
        return result


def measure(case: Case, *, with_saved: bool) -> dict[str, Any]:
    """The peak in bytes as "measured", and what it is made of."""
    _clean()
    meter = Meter()
    found: dict[str, Any] = {}
    with borrow(wanted(case.program, DEVICE)) as turn, turn:
        learner = MeteredLearner(case.program, DEVICE)
        learner.meter = meter
        built = meter.held
        learner.step(turn, case.examples, 0)
        learner.step(turn, case.examples, 1)
        found["measured"] = max(meter.peaks.values())
        found["reserved"] = torch.cuda.memory_reserved()
        found["moments"] = {"built": built, "peaks": dict(meter.peaks), "ends": dict(meter.ends)}
        learner.wants_saved = with_saved
        operations = Operations(meter)
        with operations:
            learner.step(turn, case.examples, 2)
        if with_saved:
            found["saved"] = [asdict(one) for one in learner.saved]
    found["operations"] = summary(operations.seen)
    del learner
    gc.collect()
    left = meter.held
    _clean()
    found["library_workspaces"] = left - meter.held
    found["left"] = meter.held
    return found


def summary(seen: list[Operation]) -> dict[str, Any]:
    """Of each phase the operations with the highest peaks, and those that take the most to work in."""
    told: dict[str, Any] = {}
    for phase in dict.fromkeys(operation.phase for operation in seen):
        here = [operation for operation in seen if operation.phase == phase]
        highest = sorted(here, key=lambda operation: -operation.peak)[:SHOWN]
        working = {(one.name, one.shapes): one for one in sorted(here, key=lambda one: one.work) if one.work > 1 << 20}
        told[phase] = {
            "peak": highest[0].peak,
            "highest": [asdict(operation) for operation in highest],
            "working": [
                {"name": one.name, "shapes": one.shapes, "work": one.work}
                for one in sorted(working.values(), key=lambda one: -one.work)[:SHOWN]
            ],
        }
    return told


def saved_tensors(loss: Tensor, own: set[int]) -> list[Saved]:
    """What the graph of a loss keeps, the largest first; storages in `own` are not counted."""
    counted: Counter[tuple[str, str, str, tuple[int, ...], int]] = Counter()
    known = set(own)
    assert loss.grad_fn is not None
    for node in _nodes(loss.grad_fn):
        for attribute in dir(node):
            if not attribute.startswith("_saved_"):
                continue
            for tensor in _tensors(getattr(node, attribute)):
                storage = tensor.untyped_storage()
                if storage.data_ptr() in known:
                    continue
                known.add(storage.data_ptr())
                dtype = str(tensor.dtype).removeprefix("torch.")
                key = (node.name(), attribute.removeprefix("_saved_"), dtype, tuple(tensor.shape), storage.nbytes())
                counted[key] += 1
    ordered = sorted(counted.items(), key=lambda item: -item[0][-1] * item[1])
    return [Saved(name, what, dtype, list(shape), size, count) for (name, what, dtype, shape, size), count in ordered]


def _nodes(first: Node) -> Iterator[Node]:
    waiting, seen = [first], {first}
    while waiting:
        node = waiting.pop()
        yield node
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)


def _tensors(value: Any) -> Iterator[Tensor]:
    match value:
        case Tensor():
            yield value
        case list() | tuple():
            for one in value:
                yield from _tensors(one)
        case dict():
            yield from _tensors(list(value.values()))


def _told(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _allocated(which: str) -> int:
    """As `torch.cuda.memory_allocated` and `max_memory_allocated`, which make a flat list of all statistics first."""
    return torch.cuda.memory_stats_as_nested_dict()["allocated_bytes"]["all"][which]


def _clean() -> None:
    """What earlier cases have left is given back: cycles, cuBLAS's workspaces, blocks that are held for the next."""
    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
