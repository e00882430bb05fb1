"""The peak memory of a training step on a CPU, against what `dlspec plan` says of it.

    python benchmarks/memory.py [--record] [--quick]

Each system is trained for two steps in a process of its own, by the loop's own learner (forward, loss, backward, clip,
update); the second is measured, because the optimizer's state is there by then. What is counted is every call of
PyTorch's allocator, as `torch.profiler` writes them down: to the byte, the same in every run, with what kernels take
for themselves inside an operation, which a dispatch mode does not see. The resident size of the process would also
count libraries, threads and what the C library holds back, and come out differently each time. Weights, running
statistics, the optimizer's state and the batch are there before the step and are added. Target: within 10 %.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from memory_specs import SYSTEMS, System
from programs import program_of
from record import machine, record, versions
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from dlspec.cli.recipe_costs import training_of
from dlspec.compiler.backends.plan import plan
from dlspec.compiler.backends.sizes import Sizes, open_dims
from dlspec.compiler.ir.graph import Graph
from dlspec.compiler.pipeline import analyse, emit
from dlspec.compiler.semantics.tensor import Tensor as Type
from dlspec.grammar import Source
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


def measure(system: System, batch: int, *, quick: bool) -> Found:
    overrides = (*system.overrides, *(system.quick if quick else ()), f"train.batch={batch}")
    analysis = analyse(Source("net.dlspec", system.text), overrides)
    artefact = emit(analysis)
    (recipe,) = analysis.recipes.values()
    planned = plan(artefact.graph, training_of(artefact.graph, recipe, None, "cpu")).memory.peak
    program = program_of(artefact)
    examples = made_batch(artefact.graph, batch)
    with borrow(wanted(program, CPU)) as turn, turn:
        learner = Learner(program, CPU)

        def step(number: int) -> None:
            learner.compute_gradients(turn, examples, number)
            learner.apply_gradients(1e-4)

        step(0)
        learner.optimizer.zero_grad(set_to_none=True)
        held = [*learner.model.parameters(), *learner.model.buffers(), *examples.values()]
        before = sum(tensor.nbytes for tensor in [*held, *learner.optimizer_tensors().values()])
        return Found(system.name, batch, planned, before + allocated_at_once(lambda: step(1)))


def made_batch(graph: Graph, batch: int) -> dict[str, Tensor]:
    """A batch that the model can learn from, open dims at their limits; classes count up to 59."""
    rows, sizes, _ = open_dims(graph)
    known = Sizes(sizes | dict.fromkeys(rows, batch))
    draw = torch.Generator().manual_seed(0)

    def whole_numbers(type_: Type) -> Tensor:
        return torch.randint(1, 60, tuple(map(known.of, type_.dims)), generator=draw)

    made: dict[str, Tensor] = {}
    for value in graph.model.inputs:
        assert isinstance(value.type, Type) and value.name is not None
        is_float = value.type.dtype == "float"
        shape = tuple(map(known.of, value.type.dims))
        made[value.name] = torch.randn(shape, generator=draw) if is_float else whole_numbers(value.type)
    logits = graph.model.outputs[0].type
    assert isinstance(logits, Type)
    return made | dict.fromkeys(("targets", "label"), whole_numbers(Type("int", logits.dims[:-1])))


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
        raise RuntimeError(f"{SYSTEMS[index].name} at batch {batch}: {done.stderr[-2000:]}")
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="append to results/memory.json")
    parser.add_argument("--quick", action="store_true", help="small models, all in this process")
    parser.add_argument("--one", nargs=2, type=int, metavar=("SYSTEM", "BATCH"), help="measure one and print JSON")
    asked = parser.parse_args(arguments)
    if asked.one:
        index, batch = asked.one
        print(json.dumps(asdict(measure(SYSTEMS[index], batch, quick=False))))
        return 0
    found: list[Found] = []
    print(f"{'':<22}{'batch':>6}{'planned':>12}{'measured':>12}{'ratio':>8}")
    for index, system in enumerate(SYSTEMS):
        for batch in system.batches:
            one = measure(system, batch, quick=True) if asked.quick else in_a_process(index, batch)
            found.append(one)
            planned, measured = (f"{size / 1e6:.2f} MB" for size in (one.planned, one.measured))
            print(f"{one.system:<22}{batch:>6}{planned:>12}{measured:>12}{one.ratio:>8.3f}", flush=True)
    good = all(one.good for one in found)
    print(f"target: within {TARGET:.0%}: {'met' if good else 'missed'}")
    if asked.record:
        result = {
            "machine": machine(),
            "versions": versions("torch"),
            "counted": "calls of PyTorch's CPU allocator during the second training step",
            "target": TARGET,
            "met": good,
            "systems": [{**asdict(one), "ratio": round(one.ratio, 4)} for one in found],
        }
        print(f"recorded in {record('memory', result).name}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
