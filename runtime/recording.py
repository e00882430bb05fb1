"""Loss and gradients as a CUDA graph: a GPU is told its kernels once, and then does them without being told each.

Telling takes the CPU longer than many kernels take.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from .optimization import Finished

Batch = Mapping[str, Tensor]
Shape = tuple[tuple[str, torch.dtype, tuple[int, ...]], ...]

WARM = 2
"""Batches of a shape that are computed one kernel after the other before it is recorded: libraries choose what they
run, and kernels are compiled. None of this may happen while a GPU only listens."""


@dataclass(frozen=True)
class Work:
    """What is to be recorded: the loss of a batch, its gradients by `parameters`, and where a batch is all that an
    update sees, what follows from loss and gradients."""

    loss_of: Callable[[Batch], Tensor]
    parameters: Sequence[Tensor]
    finish: Callable[[Tensor, list[Tensor]], Finished] | None = None


class Recording:
    """What a GPU does for a batch of one shape. It gives the same bits as the passes it was recorded from.

    `finished` is what `finish` gave; played again, the same tensors hold what it would give then.
    """

    def __init__(self, work: Work, batch: Batch) -> None:
        self._parameters = work.parameters
        self._places = [parameter.data_ptr() for parameter in work.parameters]
        self._batch = {name: tensor.clone() for name, tensor in batch.items()}
        self._weight = torch.ones((), device=next(iter(batch.values())).device)
        self._graph = torch.cuda.CUDAGraph()
        self.finished: Finished | None = None
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._loss = work.loss_of(self._batch) * self._weight
            self._gradients = _apart(torch.autograd.grad(self._loss, work.parameters, allow_unused=True))
            self._loss = self._loss.detach()
            if work.finish is not None:
                self.finished = work.finish(self._loss, [one for one in self._gradients if one is not None])

    @property
    def holds(self) -> bool:
        """Whether the parameters lie where they lay: an optimizer may put them elsewhere."""
        return all(p.data_ptr() == place for p, place in zip(self._parameters, self._places, strict=True))

    def play(self, batch: Batch, weight: float) -> Tensor:
        """The loss of a batch times `weight`. Its gradients are added to those that the parameters have; where it is
        all that an update sees, they lie there until it is played again."""
        for name, tensor in batch.items():
            self._batch[name].copy_(tensor)
        self._weight.fill_(weight)
        self._graph.replay()
        alone = self.finished is not None
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            if gradient is None:
                continue
            if parameter.grad is None:
                parameter.grad = gradient if alone else gradient.clone()
            else:
                parameter.grad += gradient
        return self._loss if alone else self._loss.clone()


class Recorder:
    """The recording of a training: of the first shape that comes often enough, since each keeps what its passes need of
    memory. Other shapes are told as ever."""

    def __init__(self) -> None:
        self._seen: Counter[Shape] = Counter()
        self._recorded: tuple[Shape, Recording] | None = None
        self._fixed = True
        """Whether nothing was seen in the passes that a recording would not repeat."""

    def wants(self, batch: Batch) -> bool:
        """Whether the passes of this batch are to be played."""
        shape = _shape(batch)
        if self._recorded is not None:
            return shape == self._recorded[0]
        return self._fixed and self._seen[shape] >= WARM

    @contextmanager
    def watching(self, batch: Batch) -> Iterator[None]:
        """Passes that are not played: where the CPU waits for the GPU in them, or draws numbers of its own, what comes
        after may depend on what the GPU found, or be other numbers each time, and nothing is recorded."""
        drawn = torch.get_rng_state()
        with waits_seen() as waits:
            yield
        self._fixed &= not waits and torch.equal(drawn, torch.get_rng_state())
        self._seen[_shape(batch)] += 1

    def recording(self, work: Work, batch: Batch) -> Recording | None:
        """Of a batch that is wanted; None where it cannot be recorded or played after all, and then nothing more is."""
        if self._recorded is None:
            try:
                self._recorded = _shape(batch), Recording(work, batch)
            except RuntimeError:
                # Among them: there is no room for what is kept. What else is wrong shows where each kernel is told.
                recover()
        if self._recorded is None or not self._recorded[1].holds:
            self._recorded, self._fixed = None, False
            return None
        return self._recorded[1]


@contextmanager
def waits_seen() -> Iterator[list[str]]:
    """Where the CPU waits for a GPU while it lasts, as PyTorch tells of it."""
    found: list[str] = []
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(mode)
            found += [str(one.message) for one in told if "called a synchronizing" in str(one.message)]


def recover() -> None:
    """After what could not be recorded: the generator takes itself for recorded still, and would refuse seeds."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())


def _shape(batch: Batch) -> Shape:
    return tuple((name, tensor.dtype, tuple(tensor.shape)) for name, tensor in batch.items())


def _apart(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Each in memory of its own, side by side: what is done to one must not reach another. They may be parts of one
    tensor that have no number in common."""
    taken: list[tuple[int, int]] = []
    found: list[Tensor | None] = []
    for gradient in gradients:
        if gradient is not None:
            gradient = gradient.contiguous()
            begin, end = _span(gradient)
            if any(begin < other_end and other_begin < end for other_begin, other_end in taken):
                gradient = gradient.clone(memory_format=torch.contiguous_format)
            taken.append(_span(gradient))
        found.append(gradient)
    return found


def _span(tensor: Tensor) -> tuple[int, int]:
    """From where to where a tensor without gaps lies."""
    begin = tensor.data_ptr()
    return begin, begin + tensor.numel() * tensor.element_size()
