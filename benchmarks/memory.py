"""The peak memory of a training step, against what `dlspec plan` says of it.

    python benchmarks/memory.py [--device cpu] [--record] [--quick]
    python benchmarks/memory.py --device cuda --out found.json [--quick]

On a CPU each system is trained for two steps in a process of its own, by the loop's own learner (forward, loss,
backward, clip, update); the second is measured, because the optimizer's state is there by then. What is counted is
every call of PyTorch's allocator, as `torch.profiler` writes them down: to the byte, the same in every run, with what
kernels take for themselves inside an operation, which a dispatch mode does not see. The resident size of the process
would also count libraries, threads and what the C library holds back, and come out differently each time. Weights,
running statistics, the optimizer's state and the batch are there before the step and are added.

On a GPU all run in one process, and the allocator's own peak is read (see `memory_cuda`). The file is written after
each system, so that it holds what was found until then; what fails is told and the next begins.

Target: within 10 %.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import memory_cuda
import torch
from memory_case import make_case
from memory_specs import ON_A_CPU, ON_A_GPU, System
from record import machine, record, versions
from torch.profiler import ProfilerActivity, profile

from dlspec.runtime.isolation import borrow
from dlspec.runtime.learner import Learner
from dlspec.runtime.preparation import wanted

TARGET = 0.10
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Found:
    """Bytes, planned and measured."""

    system: str
    batch: int
    planned: int
    measured: int

    @property
    def ratio(self) -> float:
        return self.planned / self.measured

    @property
    def good(self) -> bool:
        return abs(self.ratio - 1) <= TARGET

    def __str__(self) -> str:
        planned, measured = (f"{size / 1e6:.2f} MB" for size in (self.planned, self.measured))
        return f"{self.system:<26}{self.batch:>6}{planned:>14}{measured:>14}{self.ratio:>8.3f}"

    @property
    def told(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": round(self.ratio, 4)}


# --- on a CPU -------------------------------------------------------------------------------------------------------


def measure(system: System, batch: int, *, quick: bool) -> Found:
    case = make_case(system, batch, "cpu", quick=quick)
    with borrow(wanted(case.program, CPU)) as turn, turn:
        learner = Learner(case.program, CPU)

        def step(number: int) -> None:
            learner.compute_gradients(turn, case.examples, number)
            learner.apply_gradients(1e-4)

        step(0)
        learner.optimizer.zero_grad(set_to_none=True)
        held = [*learner.model.parameters(), *learner.model.buffers(), *case.examples.values()]
        before = sum(tensor.nbytes for tensor in [*held, *learner.optimizer_tensors().values()])
        measured = before + allocated_at_once(lambda: step(1))
    return Found(system.name, batch, case.planned.memory.peak, measured)


def allocated_at_once(run: Callable[[], None]) -> int:
    """The most bytes that PyTorch's allocator has given out at once, beyond what it had before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    assert profiler.profiler is not None and profiler.profiler.kineto_results is not None
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]  it is not in the stubs
        most = max(most, now)
    return most


def in_a_process(index: int, batch: int) -> Found:
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(index), str(batch)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{ON_A_CPU[index].name} at batch {batch}: {done.stderr[-2000:]}")
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def on_the_cpu(*, quick: bool, keep: bool) -> bool:
    found: list[Found] = []
    for index, system in enumerate(ON_A_CPU):
        for batch in system.batches:
            found.append(measure(system, batch, quick=True) if quick else in_a_process(index, batch))
            print(found[-1], flush=True)
    good = all(one.good for one in found)
    if keep:
        result = {
            "machine": machine(),
            "versions": versions("torch"),
            "counted": "calls of PyTorch's CPU allocator during the second training step",
            "target": TARGET,
            "met": good,
            "systems": [one.told for one in found],
        }
        print(f"recorded in {record('memory', result).name}")
    return good


# --- on a GPU -------------------------------------------------------------------------------------------------------


def on_a_gpu(out: Path, *, quick: bool) -> bool:
    torch.cuda.init()  # before it the allocator has no statistics
    name = torch.cuda.get_device_name().removeprefix("NVIDIA ")
    systems: list[dict[str, Any]] = []
    found = {
        "machine": machine(f"one {name}"),
        "versions": {**versions("torch"), "cuda": torch.version.cuda},
        "counted": "the peak of PyTorch's CUDA allocator during the second training step",
        "target": TARGET,
        "met": False,
        "systems": systems,
    }
    for system in ON_A_GPU:
        for batch in system.batches:
            begun = time.monotonic()
            one = told_of_a_gpu(system, batch, quick=quick)
            systems.append({**one, "took_seconds": round(time.monotonic() - begun, 1)})
            found["met"] = all(one.get("good", False) for one in systems)
            out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return bool(found["met"])


def told_of_a_gpu(system: System, batch: int, *, quick: bool) -> dict[str, Any]:
    """What was found, or what failed and where."""
    try:
        case = make_case(system, batch, "cuda", quick=quick)
        measured = memory_cuda.measure(case, with_saved=batch == min(system.batches))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        failed = f"{type(error).__name__}: {error}"[:2000]
        print(f"{system.name:<26}{batch:>6}  {failed}", flush=True)
        return {
            "system": system.name,
            "batch": batch,
            "failed": failed,
            "at": f"{Path(last.filename).name}:{last.lineno}",
        }
    found = Found(system.name, batch, case.planned.memory.peak, measured.pop("measured"))
    print(found, flush=True)
    made_of = {"spec": system.spec, "overrides": system.overrides, "memory": vars(case.planned.memory)}
    return {**found.told, "good": found.good, **made_of, **measured}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, help="the JSON file to write of a GPU")
    parser.add_argument("--record", action="store_true", help="append what a CPU takes to results/memory.json")
    parser.add_argument("--quick", action="store_true", help="small models, all in this process")
    parser.add_argument("--one", nargs=2, type=int, metavar=("SYSTEM", "BATCH"), help="measure one and print JSON")
    asked = parser.parse_args(arguments)
    if asked.one:
        index, batch = asked.one
        print(json.dumps(asdict(measure(ON_A_CPU[index], batch, quick=False))))
        return 0
    if asked.device == "cuda" and asked.out is None:
        parser.error("--device cuda needs --out FILE")
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here: --device cpu measures the CPU")
    print(f"{'':<26}{'batch':>6}{'planned':>14}{'measured':>14}{'ratio':>8}")
    on_cuda = asked.device == "cuda"
    good = on_a_gpu(asked.out, quick=asked.quick) if on_cuda else on_the_cpu(quick=asked.quick, keep=asked.record)
    print(f"target: within {TARGET:.0%}: {'met' if good else 'missed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
