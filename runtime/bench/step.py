"""Whole updates of a program: how long one takes, how many tokens a second that is, what part of the GPU it uses."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from ..device import device_faults_are_told
from ..isolation import Turn, borrow
from ..learner import Batch, Learner
from ..loop import entries_of
from ..order import Order
from ..preparation import prepare, wanted
from ..program import Program, load_text
from ..seeds import derive_seed
from .kernels import UseMeasured, measure_use
from .measure import peak_of, quietly, wait_for
from .peaks import peak_flops
from .tune import Tunable, Tuned, tune
from .use import Entry, Use, watching

if TYPE_CHECKING:
    from ..data import Data

WARM, MOST, LEAST = 3, 20, 3
"""Updates that nobody counts, and the most and the least that are counted."""
ENOUGH = 20.0
"""Seconds after which no further update is counted, once there are `LEAST`."""


@dataclass(frozen=True)
class Step:
    """One update. `per_second` counts tokens where the model's input is such, else examples.

    `mfu` is the part of the FLOP/s of the GPU's data sheet that the model needs, forward and backward (three times
    the forward pass; what is recomputed does not count). `peak` is in bytes, of a whole update, with weights and the
    optimizer's state.
    """

    seconds: float
    updates: int
    per_second: float
    mfu: float | None
    peak: int | None


def measure_step(
    program: Program, data: Data, device: torch.device, *, flops: float, compile: str | None = None
) -> Step:
    """Updates of a program, always with its first batch, as `train` makes them.

    `flops` are those of one example's forward pass. `compile` is the backend that torch.compile takes; without one
    the model runs as it is. Raises what `train` raises, and OutOfMemoryError.
    """
    forget(device)
    with quietly(), borrow(wanted(program, device)) as turn:
        found: list[tuple[list[float], int, int]] = []

        def whole() -> None:
            prepared = prepare(program, data, turn, device)
            if compile is not None:
                prepared.learner.model.compile(backend=compile, dynamic=False)
            batch = data.train.batch(*prepared.order.batch_of(0))
            rate = program.learning_rate(0, prepared.steps, prepared.order.per_epoch)
            with turn:
                times = _updates(prepared.learner, turn, batch, rate, device)
            found.append((times, entries_of(program.options, batch), program.options.batch))

        peak = peak_of(whole, device)
    ((times, entries, examples),) = found
    seconds = statistics.median(times)
    most = peak_flops(device, program.options.precision)
    mfu = None if most is None else 3 * flops * examples / seconds / most
    return Step(seconds, len(times), entries / seconds, mfu, peak)


def forget(device: torch.device) -> None:
    """What was compiled, and the memory of what is no longer used."""
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _updates(learner: Learner, turn: Turn, batch: Batch, rate: float, device: torch.device) -> list[float]:
    times: list[float] = []
    for number in range(WARM + MOST):
        begun = perf_counter()
        for phase, time in learner.turns():
            learner.update(turn, batch, number, rate, phase, time)
        learner.update_copies()
        wait_for(device)
        if number >= WARM:
            times.append(perf_counter() - begun)
        if len(times) >= LEAST and sum(times) > ENOUGH:
            break
    return times


def measure_kernels(
    program: Program,
    data: Data,
    device: torch.device,
    entries: Mapping[str, Entry],
    kernels: str,
) -> list[UseMeasured]:
    """Each kernel that the forward pass of a program's first step calls, on what it is called with there.

    `entries` are what the program calls of its file `kernels`, by name. What is measured here runs as PyTorch does by
    itself, whatever the recipe says of determinism: that rules out some of what there is to compare with.
    """
    with quietly(), device_faults_are_told():
        module, uses = _module_and_uses(program, data, device, entries, kernels)
        return [measure_use(use, module, device) for use in uses]


def tune_kernels(
    program: Program,
    data: Data,
    device: torch.device,
    entries: Mapping[str, Entry],
    kernels: str,
    tables: Mapping[str, Sequence[Tunable]],
) -> list[tuple[Use, list[Tuned]]]:
    """Tiles tried for each of them. `tables` are those of each entry, by its name."""
    with quietly(), device_faults_are_told():
        module, uses = _module_and_uses(program, data, device, entries, kernels)
        return [(use, tune(use, module, tables.get(use.name, ()), device)) for use in uses]


def _module_and_uses(
    program: Program, data: Data, device: torch.device, entries: Mapping[str, Entry], kernels: str
) -> tuple[ModuleType, list[Use]]:
    module = load_text(kernels.removesuffix(".py"), program.beside[kernels])
    with borrow(wanted(program, device)) as turn:
        prepared = prepare(program, data, turn, device)
        batch = data.train.batch(*prepared.order.batch_of(0))
        return module, _uses(prepared.learner, turn, batch, module, entries)


def dims_of_first_batch(program: Program, data: Data) -> dict[str, int]:
    """The open dims of the model's inputs, the batch among them, by name."""
    batch = data.train.batch(*_order(program, data).batch_of(0))
    return {
        dim: size
        for port in program.options.inputs
        for dim, size in zip(port.dims, batch[program.options.bind[port.name]].shape, strict=True)
        if isinstance(dim, str) and dim.isidentifier()
    }


def _order(program: Program, data: Data) -> Order:
    return Order(program.options.seed, len(data.train), program.options.batch)


def _uses(learner: Learner, turn: Turn, batch: Batch, kernels: ModuleType, entries: Mapping[str, Entry]) -> list[Use]:
    program, options = learner.program, learner.options
    part = {name: tensor[: options.batch // options.accumulate] for name, tensor in batch.items()}
    with turn, watching(learner.model, (program.model_module, program.recipe), kernels, entries) as watch:
        turn.seed(derive_seed(options.seed, "forward", 0, 0))
        learner.training_loss(learner.to_device(part))
    return list(watch.seen.values())
