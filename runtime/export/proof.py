"""The proof that an exported model does what the trained model does: for every output, at every shape that is tried,

    max |exported - r|  <=  4 * max |fp32 - r|  +  1e-5 * max |r|          r: the trained model in fp64

and what a language model writes is compared token by token. NaN and infinity never pass. What a model draws is the
same on both sides.
Initial weights hide faults: a gain of one, a bias of zero and a branch that starts at zero look the same wherever they
stand. So an export of such weights is proved a second time, with weights that were shaken.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..errors import ProofFailed, Refused
from ..metadata import Metadata
from ..session import Arrays, language_ports
from .bound import FACTOR, RELATIVE, allowed, distance, largest
from .drawing import drawing_alike
from .greedy import Greedy, greedy_agreement
from .reference import Reference
from .trials import Sizes, random_inputs, shown_sizes, trial_sizes

Runner = Callable[[Mapping[str, NDArray]], Mapping[str, NDArray]]

LEAST = 3
"""Fewer shapes than this prove nothing."""


@dataclass(frozen=True)
class Comparison:
    """One output for one shape: how far the exported model is from fp64, how far it may be, and why it was refused."""

    output: str
    sizes: str
    difference: float
    allowed: float
    torch_difference: float
    scale: float
    fault: str = ""

    @property
    def ok(self) -> bool:
        return not self.fault and self.difference <= self.allowed  # NaN is never less


@dataclass(frozen=True)
class Stage:
    """The comparisons with one set of weights: "exported" as they are in the file, or "shaken".

    `refused` are the shapes that the trained model itself does not take.
    """

    weights: str
    comparisons: tuple[Comparison, ...]
    refused: tuple[str, ...] = ()
    greedy: Greedy | None = None

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.comparisons) and (self.greedy is None or self.greedy.ok)


@dataclass(frozen=True)
class Proof:
    stages: tuple[Stage, ...]

    @property
    def ok(self) -> bool:
        return all(stage.ok for stage in self.stages)

    def worst(self) -> Comparison:
        """The comparison that came nearest to its bound, or went furthest beyond it."""
        comparisons = [one for stage in self.stages for one in stage.comparisons]
        return max(comparisons, key=lambda one: (not one.ok, one.difference / one.allowed if one.allowed else 0.0))

    def require(self, name: str) -> None:
        """Raise ProofFailed with the comparisons that failed."""
        if self.ok:
            return
        lines = [
            f"  {one.output} at {one.sizes}, weights as {stage.weights}: "
            + (one.fault or f"{one.difference:.3g} off, {one.allowed:.3g} allowed")
            for stage in self.stages
            for one in stage.comparisons
            if not one.ok
        ]
        lines += [f"  {stage.greedy.fault}" for stage in self.stages if stage.greedy and not stage.greedy.ok]
        raise ProofFailed(
            f"{name} does not do what the trained model does:\n" + "\n".join(lines), "Nothing was written."
        )

    def to_json(self) -> dict[str, Any]:
        """Both sides of every comparison."""
        return {
            "bound": f"{FACTOR:g} * torch_difference + {RELATIVE:g} * scale",
            "ok": self.ok,
            "stages": [
                {
                    "weights": stage.weights,
                    "comparisons": [asdict(one) | {"ok": one.ok} for one in stage.comparisons],
                    "refused": list(stage.refused),
                    "greedy": asdict(stage.greedy) if stage.greedy else None,
                }
                for stage in self.stages
            ],
        }


def prove(
    run: Runner,
    model: nn.Module,
    metadata: Metadata,
    *,
    step: int,
    whole: Metadata | None = None,
    ranges: Mapping[str, int] | None = None,
    shaken: Callable[[nn.Module], Runner] | None = None,
    seed: int = 0,
) -> Proof:
    """Compare `run`, an exported model, with `model`, whose weights it has, after `step` updates.

    `metadata` is that of the file, `whole` that of the model where the file has only some of its outputs.
    `ranges` has for every int input how many values it may take; that of a language model is known.
    `shaken` exports another model of the same kind and gives what runs it; it is called where the weights look
    initial. Without it such weights are refused. The result may be a failed proof: see `Proof.require`.
    """
    whole = whole or metadata
    values = {**_known_ranges(whole), **(ranges or {})}
    stages = [_stage("exported", run, Reference(model, whole), metadata, values, seed)]
    reasons = ["no step was trained"] if step == 0 else initial_looking(model)
    if reasons and stages[0].ok:
        if shaken is None:
            raise Refused(f"nothing is proved with these weights: {reasons[0]}", "Train the model first.")
        other = perturbed(model, seed)
        stages.append(_stage("shaken", shaken(other), Reference(other, whole), metadata, values, seed))
    return Proof(tuple(stages))


def initial_looking(model: nn.Module) -> list[str]:
    """Why weights would hide a fault: the parameters that are one number throughout."""
    return [
        f"{name} is {parameter.flatten()[0].item():g} throughout"
        for name, parameter in model.named_parameters()
        if parameter.numel() and bool((parameter == parameter.flatten()[0]).all()) and _is_plain(parameter)
    ]


def perturbed(model: nn.Module, seed: int) -> nn.Module:
    """A copy with every parameter and every running statistic moved, each entry by itself."""
    generator = torch.Generator().manual_seed(seed)
    other = copy.deepcopy(model).cpu()
    with torch.no_grad():
        for parameter in other.parameters():
            size = 0.1 * float(parameter.square().mean().sqrt())
            parameter += max(size, 0.02) * torch.randn(parameter.shape, generator=generator)
        for name, buffer in other.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn(buffer.shape, generator=generator)
            elif name.endswith("running_var"):
                buffer *= torch.exp(0.1 * torch.randn(buffer.shape, generator=generator))
    return other


def _is_plain(parameter: torch.Tensor) -> bool:
    """A single number may well be anything; 0 and 1 are what it starts as."""
    return parameter.numel() > 1 or parameter.item() in (0.0, 1.0)


def _known_ranges(metadata: Metadata) -> dict[str, int]:
    """The vocabulary of a language model: as many tokens as it scores."""
    try:
        source, target = language_ports(metadata)
    except Refused:
        return {}
    width = target.dims[-1]
    return {source.name: width} if isinstance(width, int) else {}


def _stage(
    weights: str, run: Runner, reference: Reference, metadata: Metadata, ranges: Mapping[str, int], seed: int
) -> Stage:
    trials = trial_sizes(reference.metadata)
    comparisons: list[Comparison] = []
    refused: list[str] = []
    for turn, sizes in enumerate(trials):
        inputs = random_inputs(reference.metadata, sizes, ranges, seed + turn)
        try:
            exact = reference.exact(inputs)
        except (RuntimeError, ValueError, IndexError) as error:
            refused.append(f"{shown_sizes(sizes)}: {first_line(error)}")
            continue
        single = reference.single(inputs)
        fed = {port.name: inputs[port.name] for port in metadata.inputs}
        comparisons += _compare(run, fed, {port.name: exact[port.name] for port in metadata.outputs}, single, sizes)
    if len(trials) - len(refused) < min(LEAST, len(trials)):
        raise Refused(
            f"the trained model itself runs at {len(trials) - len(refused)} of {len(trials)} shapes: too few to prove "
            f"anything ({refused[0]})"
        )
    greedy = greedy_agreement(run, reference, metadata, ranges, seed) if all(one.ok for one in comparisons) else None
    return Stage(weights, tuple(comparisons), tuple(refused), greedy)


def _compare(run: Runner, inputs: Arrays, exact: Arrays, single: Arrays, sizes: Sizes) -> list[Comparison]:
    try:
        with drawing_alike():
            given: Mapping[str, NDArray] = run(inputs)
        failure = ""
    except Exception as error:  # whatever the runner's library raises: the exported model does not run here
        given, failure = {}, f"it does not run: {first_line(error)}"
    found = []
    for name, reference in exact.items():
        bound = allowed(single[name], reference)
        own, scale = distance(single[name], reference), largest(reference)
        fault, difference = failure, float("nan")
        if not failure:
            fault = misfit(given.get(name), reference)
        if not fault:
            difference = distance(given[name], reference)
        found.append(Comparison(name, shown_sizes(sizes), difference, bound, own, scale, fault))
    return found


def misfit(given: NDArray | None, exact: NDArray) -> str:
    """Why an output cannot be compared at all."""
    if given is None:
        return "it is not there"
    if given.shape != exact.shape:
        return f"its shape is {list(given.shape)}, not {list(exact.shape)}"
    if not np.isfinite(exact).all():
        return "the trained model itself gives numbers that are not finite"
    if not np.isfinite(given).all():
        return "it holds numbers that are not finite"
    return ""


def first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
