"""Kernels as models call them on a GPU: what they compute, against float64 and beside PyTorch's own."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from dlspec.compiler.pipeline import Artefact
from dlspec.runtime.bench.kernels import is_fused, plain_form, tensors_of
from dlspec.runtime.bench.use import Entry, Use, watching
from dlspec.runtime.program import load_text

REPEATS = 100
"""Of a kernel with the same input: what races gives something else sooner or later."""


@dataclass(frozen=True)
class Loaded:
    """An emission for the GPU."""

    model: ModuleType
    recipe: ModuleType | None
    kernels: ModuleType
    entries: dict[str, Entry]
    loss_in_model: bool


def loaded_for_gpu(artefact: Artefact) -> Loaded:
    model = load_text(artefact.name, artefact.model_code, artefact.imported)
    recipe = None
    if artefact.recipe_code is not None:
        recipe = load_text(f"{artefact.name}_recipe", artefact.recipe_code, artefact.imported)
    name = f"{artefact.name}_kernels"
    kernels = load_text(name, artefact.kernels[f"{name}.py"])
    entries = {word: Entry(one.kind, vars(one)) for word, one in artefact.variants.items()}
    return Loaded(model, recipe, kernels, entries, "in_model" in (artefact.settings or {}).get("loss", {}))


def uses_of(emission: Loaded, model: nn.Module, given: Sequence[Tensor], targets: Tensor | None = None) -> list[Use]:
    """Each kernel that a forward pass of the model calls; with targets, of its loss too."""
    texts = [one for one in (emission.model, emission.recipe) if one is not None]
    with watching(model, texts, emission.kernels, emission.entries) as watch:
        if emission.loss_in_model and targets is not None:
            model(*given, targets)
        elif emission.recipe is not None and targets is not None:
            emission.recipe.loss(model(*given), targets)
        else:
            model(*given)
    return list(watch.seen.values())


def hold(use: Use, kernels: ModuleType) -> None:
    """Kernels run for it, give the same bits each time, write all they hand out, and are at most twice as far from
    float64 as PyTorch at the same precision (in float32, as far as 1e-5)."""
    assert is_fused(use, kernels)
    with unwritten_memory_is_nan():
        changes: list[Tensor] = []
        ours = passes(use, changes)
        for _ in range(REPEATS):
            for a, b in zip(ours, passes(use, changes), strict=True):
                assert torch.equal(a, b)
    with plain_form(use, kernels).within():
        theirs, exact = passes(use), passes(_in_float64(use))
    coarse = max(torch.finfo(one.dtype).eps for one in use.tensors.values() if one.is_floating_point())
    rows = max((one.numel() for one in use.tensors.values() if not one.is_floating_point()), default=1)
    for a, b, c in zip(ours, theirs, exact, strict=True):
        assert a.shape == c.shape
        # Before PyTorch 2.13 autocast left RMSNorm as it came.
        assert a.dtype == b.dtype or use.autocast is not None
        assert torch.isfinite(a).all()
        scale = c.abs().max().item()
        least = 1e-5 * (1 + scale) if a.dtype == torch.float32 else torch.finfo(a.dtype).eps * scale
        if a.ndim == 0:
            # A loss of halves comes out in float32, PyTorch's near the exact one by luck at times: of the roundings of
            # so many rows as much is left as of a random walk.
            least = max(least, coarse * scale / rows**0.5)
        allowed = max(2 * (b - c).abs().max().item(), least)
        assert (a - c).abs().max().item() <= allowed, (use.name, tuple(a.shape))


def passes(use: Use, changes: list[Tensor] | None = None) -> list[Tensor]:
    """What goes out, and the gradients of all that is trained. `changes`: the gradients by what goes out, drawn once
    where there are none in it yet."""
    device = next(iter(use.tensors.values())).device.type
    with torch.autocast(device, use.autocast or torch.bfloat16, enabled=use.autocast is not None):
        outputs = tensors_of(use.call())
    ends = [one for one in outputs if one.requires_grad]
    changes = [] if changes is None else changes
    if not changes:
        generator = torch.Generator().manual_seed(5)
        # The same numbers for all dtypes, such as bfloat16 has.
        changes += [torch.randn(one.shape, generator=generator).bfloat16().to(one.device, one.dtype) for one in ends]
    gradients = torch.autograd.grad(ends, use.trained, changes) if use.trained else ()
    return [*(one.detach() for one in outputs), *gradients]


def _in_float64(use: Use) -> Use:
    def exact(value: Any) -> Any:
        if isinstance(value, Tensor) and value.is_floating_point():
            return value.detach().double().requires_grad_(value.requires_grad)
        return copy.deepcopy(value).double() if isinstance(value, nn.Module) else value

    run = copy.deepcopy(use.run).double() if isinstance(use.run, nn.Module) else use.run
    values = {name: exact(value) for name, value in use.values.items()}
    return Use(use.name, use.entry, run, values, use.where, None)


@contextmanager
def unwritten_memory_is_nan() -> Iterator[None]:
    """What torch.empty gives is NaN."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
