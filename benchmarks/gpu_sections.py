"""The sections of gpu.py: each trains something on the device and returns what it found, as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from gpu_attention import attentions
from gpu_bandwidth import bandwidths
from gpu_kernels import of_loop, of_training
from gpu_parts import with_and_without
from gpu_wide_norms import wide_norms
from pairs import Agreement, agreement, batches_of, train_in_turns
from programs import SPECS, compile_spec, program_of, write_text, write_tokens
from record import spread
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from twin import CHAR_RECIPE, CHAR_SHAPE, GPT_RECIPE, GPT_SHAPE, Batch, Loop, Recipe, Shape, Twin, load_emitted

from dlspec.api.bench import Bench
from dlspec.cli.bench_tables import kernel_json, step_json
from dlspec.grammar import Source
from dlspec.runtime import Program, Quiet, train, verify_resume
from dlspec.runtime.bench.measure import peak_of, wait_for
from dlspec.runtime.bench.peaks import peak_flops

Found = dict[str, Any]

CPU = torch.device("cpu")
KERNELS = "train.kernels=triton"
NO_STOPS = ("train.validate=none", "train.checkpoint=none")


@dataclass(frozen=True)
class Stage:
    """Where a section plays: the device, whether it is only to see that things work, and a folder of its own."""

    device: torch.device
    quick: bool
    folder: Path = field(default_factory=Path)

    def within(self, folder: Path) -> Stage:
        return replace(self, folder=folder)


@dataclass(frozen=True)
class Case:
    """A spec with its data, and the twin that has to be the same; `pairs` turns of `length` updates."""

    program: Program
    shape: Shape
    recipe: Recipe
    pairs: int
    length: int

    @property
    def tokens(self) -> int:
        """Of one update."""
        return self.program.options.batch * self.shape.context

    @property
    def flops_per_token(self) -> float:
        """Of forward and backward: 6 for each weight but the positions, and attention (PaLM, appendix B), half of which
        a causal mask hides."""
        weights = sum(p.numel() for p in _on_meta(self.shape).parameters()) - self.shape.context * self.shape.dim
        return 6 * weights + 6 * self.shape.depth * self.shape.dim * self.shape.context

    def twin(self) -> Twin:
        """With the weights that the program begins with."""
        made = Twin(self.shape)
        load_emitted(made, self.program.make_model().state_dict())
        return made


def char_case(stage: Stage, *overrides: str) -> Case:
    batch = ("train.batch=2",) if stage.quick else ()
    program = program_of(compile_spec("chargpt", *NO_STOPS, *batch, *overrides))
    write_text(stage.folder / "input.txt", 20_000 if stage.quick else 200_000)
    return Case(program, CHAR_SHAPE, CHAR_RECIPE, *((2, 2) if stage.quick else (9, 40)))


def gpt_case(stage: Stage, *overrides: str) -> Case:
    shape, own = gpt_as_trained(stage)
    program = program_of(compile_spec("gpt", *own, *overrides))
    return Case(program, shape, GPT_RECIPE, *((2, 2) if stage.quick else (7, 10)))


def gpt_as_trained(stage: Stage) -> tuple[Shape, tuple[str, ...]]:
    """GPT-2 small with a vocabulary that tensor cores like, as its author would train it: nanoGPT pads it so. What that
    sets, with the data in the stage's folder."""
    shape = replace(GPT_SHAPE, vocab=50_304)
    batch = 32
    if stage.quick:
        shape, batch = replace(shape, vocab=320, context=32, dim=48, depth=2), 2
    sizes = [f"{name}={getattr(shape, name)}" for name in ("vocab", "context", "dim", "depth")]
    run = ("train.parallel=none", f"train.batch={batch}", "train.init=normal(0.02)", "drop=0", *NO_STOPS)
    data = 'train.data=tokens("train.bin", window = context)'
    write_tokens(stage.folder / "train.bin", shape.vocab, 4_000 if stage.quick else 300_000)
    return shape, (*sizes, data, *run)


# --- what has to be equal -------------------------------------------------------------------------------------------


def cpu_course(stage: Stage) -> Found:
    """The losses of char-GPT on the device against those on the CPU."""
    case = char_case(stage)
    updates = 5 if stage.quick else 40
    here = _losses(case.program, stage.folder / "here", stage, updates)
    there = _losses(case.program, stage.folder / "there", replace(stage, device=CPU), updates)
    exact = Loop(case.twin().double(), case.recipe, batches_of(case.program, stage.folder, updates), CPU)
    exact.run(updates)
    # Another machine rounds elsewhere: exp and tanh of a GPU may be some units in the last place off.
    return _said(agreement(here, there, exact.losses, factor=16))


def resumed(case: Callable[..., Case], overrides: tuple[str, ...], stage: Stage) -> Found:
    """Training in one go against the same with a restart in a new process, bit by bit: weights, optimizer, log."""
    proof = verify_resume(
        case(stage, *overrides).program, stage.folder, 4 if stage.quick else 20, device=str(stage.device)
    )
    return {"equal": True, "updates": proof.steps, "restart_after": proof.restart, "files": list(proof.files)}


def follows_pytorch(stage: Stage) -> Found:
    """The losses of 500 updates of GPT-2 in bf16 by its own kernels against those by PyTorch's, each a mean of 20: they
    may be as far apart as those by PyTorch with one of its attentions are from those with another, and no more than
    twice that."""
    updates, group = (4, 2) if stage.quick else (500, 20)
    rates = "train.schedule=warmup(100) -> constant"
    case = partial(gpt_case, stage, "train.precision=bf16", f"train.batch={2 if stage.quick else 8}", rates)
    own, plain = case(KERNELS).program, case("train.kernels=torch").program
    if not stage.quick:
        write_tokens(stage.folder / "train.bin", 512, 300_000)  # of which so many updates learn something

    def course(program: Program, name: str, backend: SDPBackend | None = None) -> list[float]:
        with sdpa_kernel(backend) if backend and stage.device.type == "cuda" else nullcontext():
            losses = _losses(program, stage.folder / name, stage, updates)
        return [sum(losses[i : i + group]) / group for i in range(0, updates, group)]

    theirs = course(plain, "flash", SDPBackend.FLASH_ATTENTION)
    noise = _furthest(theirs, course(plain, "efficient", SDPBackend.EFFICIENT_ATTENTION))
    ours = course(own, "own")
    apart = _furthest(ours, theirs)
    return {
        "equal": apart <= 2 * noise,
        "updates": updates,
        "first_and_last_loss": [round(ours[0], 4), round(ours[-1], 4)],
        "furthest_apart": apart,
        "pytorch_from_itself": noise,
    }


def _furthest(ours: list[float], theirs: list[float]) -> float:
    return round(max(abs(a - b) for a, b in zip(ours, theirs, strict=True)), 6)


# --- speed ----------------------------------------------------------------------------------------------------------


def in_turns(case: Callable[..., Case], overrides: tuple[str, ...], stage: Stage) -> Found:
    """Tokens a second of both sides in turns, their ratio, the memory of each alone, and whether their losses agree."""
    made = case(stage, *overrides)
    precision = made.program.options.precision
    batches = batches_of(made.program, stage.folder, (made.pairs + 1) * made.length)
    ours_peak = _peak(stage, lambda: _losses(made.program, stage.folder / "alone", stage, 2))
    loop = partial(Loop, recipe=made.recipe, batches=batches, device=stage.device)
    with _multiplying(precision):
        twin_peak = _peak(stage, lambda: loop(made.twin(), bf16=precision == "bf16").run(2))
    sides = loop(made.twin(), bf16=precision == "bf16")
    plan = {"pairs": made.pairs, "length": made.length, "device": str(stage.device)}
    found = train_in_turns(made.program, stage.folder, stage.folder / "run", sides, **plan)
    agreed = _agreement_with_exact(made, found.our_losses, found.their_losses, batches, stage)
    return {
        "ratio": spread(found.ratios),
        **_speeds("ours", made, [took.passed for took in found.ours], stage),
        **_speeds("by_hand", made, [took.passed for took in found.theirs], stage),
        "peak_gigabytes": {"ours": ours_peak, "by_hand": twin_peak},
        **_said(agreed),
    }


def compiled_twin(overrides: tuple[str, ...], stage: Stage) -> Found:
    """The twin under torch.compile, with cuDNN's attention, alone."""
    made = gpt_case(stage, *overrides)
    batches = batches_of(made.program, stage.folder, (made.pairs + 1) * made.length)
    with _compiled_loop(made, batches, stage) as loop:
        seconds = []
        for _ in range(made.pairs + 1):
            begun = perf_counter()
            loop.run(made.length)
            wait_for(stage.device)
            seconds.append(perf_counter() - begun)
    return {"first_turn_seconds": round(seconds[0], 1), **_speeds("by_hand", made, seconds[1:], stage)}


@contextmanager
def _compiled_loop(made: Case, batches: list[Batch], stage: Stage) -> Iterator[Loop]:
    """The twin under torch.compile, with cuDNN's attention, in its loop."""
    precision = made.program.options.precision
    backend = "eager" if stage.quick else "inductor"

    def compiled(model: nn.Module) -> nn.Module:
        return torch.compile(model, backend=backend)  # pyright: ignore[reportReturnType]  a module in, a module out

    cudnn = nullcontext() if stage.device.type == "cpu" else sdpa_kernel(SDPBackend.CUDNN_ATTENTION)
    with _multiplying(precision), cudnn:
        yield Loop(made.twin(), made.recipe, batches, stage.device, bf16=precision == "bf16", compile=compiled)


def kernel_by_kernel(stage: Stage) -> Found:
    """What the GPU does in an update of ours, and in one of the twin under torch.compile."""
    made = gpt_case(stage, "train.precision=bf16", KERNELS)
    ours = of_training(made.program, stage.folder, stage.folder / "run", stage.device)
    with _compiled_loop(made, batches_of(made.program, stage.folder, 8), stage) as loop:
        return {"ours": ours, "by_hand": of_loop(loop.run, stage.device)}


def parts_of_gpt(stage: Stage) -> Found:
    """What its product of q, k and v, and steps that wait for no loss, bring."""
    made = gpt_case(stage, "train.precision=bf16", KERNELS)
    plan = {"rounds": 1, "updates": 2} if stage.quick else {"rounds": 1, "updates": 40}
    return with_and_without(made.program, stage.folder, stage.device, tokens=made.tokens, **plan)


def bench_of_gpt(stage: Stage) -> Found:
    """What `dlspec bench` finds of it in bf16."""
    _, overrides = gpt_as_trained(stage)
    source = Source("gpt.dlspec", (SPECS / "gpt.dlspec").read_text(encoding="utf-8"))
    bench = Bench(source, stage.folder, set=(*overrides, "train.precision=bf16"), device=str(stage.device))
    kernels = [kernel_json(one) for one in bench.kernels()]
    return {"kernels": kernels, "steps": [step_json(one, bench.unit) for one in bench.steps()]}


SECTIONS: dict[str, Callable[[Stage], Found]] = {
    "GPT-2 124M, bf16, kernels of its own": partial(in_turns, gpt_case, ("train.precision=bf16", KERNELS)),
    "GPT-2 124M, bf16, the twin compiled": partial(compiled_twin, ("train.precision=bf16",)),
    "attention, bf16": lambda stage: attentions(stage.device, quick=stage.quick),
    "norms and loss, bf16": lambda stage: bandwidths(stage.device, quick=stage.quick),
    "GPT-2 124M, bf16, dlspec bench": bench_of_gpt,
    "GPT-2 124M, bf16, 500 updates": follows_pytorch,
    "char-GPT, losses against the CPU": cpu_course,
    "char-GPT with dropout, resumed": partial(resumed, char_case, ("drop=0.1", KERNELS)),
    "GPT of 4 x 256 with dropout, bf16, resumed": partial(
        resumed, gpt_case, ("dim=256", "heads=4", "depth=4", "drop=0.1", "train.precision=bf16", KERNELS)
    ),
    "GPT-2 124M, bf16, kernel by kernel": kernel_by_kernel,
    "wide norms with other tiles, bf16": lambda stage: wide_norms(stage.device, quick=stage.quick),
    "GPT-2 124M, bf16, with and without": parts_of_gpt,
    "char-GPT, bf16, kernels of its own": partial(in_turns, char_case, ("train.precision=bf16", KERNELS)),
    "char-GPT, fp32, kernels of its own": partial(in_turns, char_case, (KERNELS,)),
    "GPT-2 124M, bf16": partial(in_turns, gpt_case, ("train.precision=bf16",)),
    "GPT-2 124M, tf32": partial(in_turns, gpt_case, ("train.precision=tf32",)),
    "char-GPT, tf32": partial(in_turns, char_case, ("train.precision=tf32",)),
    "GPT-2 124M, fp32": partial(in_turns, gpt_case, ("train.precision=fp32",)),
}


# --- how it is measured ---------------------------------------------------------------------------------------------


class _Losses(Quiet):
    def __init__(self) -> None:
        self.found: list[float] = []

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None:
        self.found.append(losses["loss"])


def _losses(program: Program, run: Path, stage: Stage, updates: int) -> list[float]:
    seen = _Losses()
    train(program, stage.folder, run, device=str(stage.device), display=seen, until=updates)
    return seen.found


def _agreement_with_exact(
    made: Case, ours: list[float], theirs: list[float], batches: list[Batch], stage: Stage
) -> Agreement:
    """Over the first updates, rounding measured against fp32 (fp32 itself against fp64)."""
    updates = min(len(ours), 8)
    twin = made.twin()
    if made.program.options.precision == "fp32":
        twin = twin.double()
    with _multiplying("fp32"):
        exact = Loop(twin, made.recipe, batches, stage.device)
        exact.run(updates)
    return agreement(ours[:updates], theirs[:updates], exact.losses)


def _peak(stage: Stage, work: Callable[[], object]) -> float | None:
    """In GB."""
    found = peak_of(work, stage.device)
    return None if found is None else round(found / 1e9, 3)


def _speeds(side: str, made: Case, seconds: list[float], stage: Stage) -> Found:
    tokens = [made.length * made.tokens / one for one in seconds]
    found: Found = {f"{side}_tokens_per_second": spread(tokens)}
    most = peak_flops(stage.device, made.program.options.precision)
    if most is not None:
        found[f"{side}_mfu"] = spread([one * made.flops_per_token / most for one in tokens])
    return found


def _said(agreed: Agreement) -> Found:
    return {"equal": agreed.good, "losses": str(agreed)}


def _on_meta(shape: Shape) -> Twin:
    with torch.device("meta"):
        return Twin(shape)


@contextmanager
def _multiplying(precision: str) -> Iterator[None]:
    """What a script sets for fp32 multiplications on a GPU, put back afterwards."""
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "ieee" if precision == "fp32" else "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
