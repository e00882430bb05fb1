"""Each use of a kernel, forward and backward, beside what else computes the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .kinds import kind_of
from .kinds.base import Kind, Rival
from .measure import on_own_stream, peak_of, quietly, seconds_of
from .use import Use

OURS, PLAIN, COMPILED = "dlspec", "PyTorch", "torch.compile"


@dataclass(frozen=True)
class Pass:
    """Seconds of one pass, and what a kind counts in that time: TFLOP/s or GB/s."""

    seconds: float
    speed: float


@dataclass(frozen=True)
class Measured:
    """One way to compute what a use does. `failed` says why there is no figure.

    `both` is one pass after the other: what to compare where a way does work of backward in its forward pass. It and
    `backward` are None where nothing that comes in is trained. `peak` is the memory in bytes of both, beyond what
    comes in, on a GPU.
    """

    name: str
    forward: Pass | None = None
    backward: Pass | None = None
    both: Pass | None = None
    peak: int | None = None
    failed: str = ""


@dataclass(frozen=True)
class UseMeasured:
    """`fused`: whether kernels run for what comes in, and not their plain form."""

    use: Use
    unit: str
    fused: bool
    ways: tuple[Measured, ...]


def measure_use(use: Use, kernels: ModuleType, device: torch.device) -> UseMeasured:
    """`kernels` is the module that the use is of. Where there is no GPU only the plain form is measured."""
    kind = kind_of(use.entry.kind)
    fused = is_fused(use, kernels)
    ways = ways_of(use, kernels, fused=fused) if device.type == "cuda" else [plain_form(use, kernels)]
    return UseMeasured(use, kind.unit, fused, tuple(measure_way(use, kind, way, device) for way in ways))


def ways_of(use: Use, kernels: ModuleType, *, fused: bool, backend: str = "inductor") -> Iterator[Rival]:
    """All ways to compute what a use does, ours first. `backend` is that of torch.compile."""
    torch.compiler.reset()  # which compiles a function for a few shapes, and then no more
    plain = plain_form(use, kernels)
    if fused:
        yield Rival(OURS, use.run)
    yield plain
    yield Rival(COMPILED, torch.compile(use.run, backend=backend, dynamic=False), plain.within)
    yield from kind_of(use.entry.kind).rivals(use, plain)


def plain_form(use: Use, kernels: ModuleType) -> Rival:
    """What runs where there is no GPU."""
    return Rival(PLAIN, use.run, lambda: _plainly(kernels))


@contextmanager
def _plainly(kernels: ModuleType) -> Iterator[None]:
    """While it lasts, what the module has runs in its plain form."""
    before = vars(kernels)["fused"]
    vars(kernels)["fused"] = _never
    try:
        yield
    finally:
        vars(kernels)["fused"] = before


def _never(*_: object) -> bool:
    return False


def is_fused(use: Use, kernels: ModuleType) -> bool:
    """Whether the kernels' own question for it, asked while the use is called, is answered with yes."""
    asked = vars(kernels)["fused"]
    answers: list[bool] = []

    def noted(*given: Any) -> bool:
        answers.append(asked(*given))
        return answers[-1]

    vars(kernels)["fused"] = noted
    try:
        with as_called(use), torch.no_grad():
            use.call()
    finally:
        vars(kernels)["fused"] = asked
    return any(answers)


@contextmanager
def as_called(use: Use) -> Iterator[None]:
    """Under autocast, where the model calls it so."""
    device = next(iter(use.tensors.values())).device.type
    with torch.autocast(device, use.autocast, enabled=use.autocast is not None):
        yield


def measure_way(use: Use, kind: Kind, rival: Rival, device: torch.device) -> Measured:
    """Raises nothing: what a way refuses is what is found of it."""
    with ExitStack() as within:
        within.enter_context(on_own_stream(device))
        within.enter_context(rival.within())
        # A compiled pass may be run again over what it has kept.
        within.enter_context(_backward_again())
        within.enter_context(quietly())
        try:
            return _passes(use, kind, rival, device)
        except torch.OutOfMemoryError:
            failed = "out of memory"
        except Exception as error:
            failed = f"{type(error).__name__}: {first_line(error)}"
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return Measured(rival.name, failed=failed)


def _passes(use: Use, kind: Kind, rival: Rival, device: torch.device) -> Measured:
    def forward() -> Any:
        with as_called(use):
            return rival.run(**use.values)

    outputs = tensors_of(forward())
    forward_work, backward_work = kind.forward_work(use, outputs), kind.backward_work(use, outputs)
    trained = use.trained
    ends = [output for output in outputs if output.requires_grad]
    seconds = seconds_of(forward, device)
    forth = Pass(seconds, _speed(forward_work, seconds, kind))
    if not trained or not ends:
        return Measured(rival.name, forth, peak=peak_of(forward, device))
    changes = changes_of(ends)

    def backward() -> object:
        return torch.autograd.grad(ends, trained, changes, retain_graph=True, allow_unused=True)

    def both() -> None:
        ends[:] = [one for one in tensors_of(forward()) if one.requires_grad]
        backward()
        ends.clear()

    seconds = seconds_of(backward, device)
    back = Pass(seconds, _speed(backward_work, seconds, kind))
    outputs.clear()
    ends.clear()
    seconds = seconds_of(both, device)
    there_and_back = Pass(seconds, _speed(forward_work + backward_work, seconds, kind))
    return Measured(rival.name, forth, back, there_and_back, peak_of(both, device))


def changes_of(ends: Sequence[Tensor]) -> list[Tensor]:
    """Gradients by what goes out: always the same."""
    draw = torch.Generator(ends[0].device).manual_seed(0)
    return [torch.randn(end.shape, generator=draw, device=end.device).to(end.dtype) for end in ends]


def tensors_of(result: Any) -> list[Tensor]:
    """What a call gave."""
    return [result] if isinstance(result, Tensor) else [one for one in result if isinstance(one, Tensor)]


def _speed(work: int, seconds: float, kind: Kind) -> float:
    return work / seconds / {"TFLOP/s": 1e12, "GB/s": 1e9}[kind.unit]


def _backward_again() -> Any:
    from torch._functorch import config

    return config.patch(donated_buffer=False)


def first_line(error: Exception) -> str:
    """Of its message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:200]
