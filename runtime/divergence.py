"""A training whose loss is no longer a number: stopped before the update that would spoil the weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from .checkpoint import committed
from .errors import Diverged
from .feed import Portion
from .learner import Gradients, Learner
from .rundir import Run
from .settings import Phase


@dataclass(frozen=True)
class Pass:
    """What a phase did, or would have done, in an update: its gradients, and the rate they are taken at."""

    phase: Phase
    gradients: Gradients
    rate: float


def report_divergence(run: Run, learner: Learner, portion: Portion, step: int, found: Pass) -> Diverged:
    """Writes the evidence and says what happened; `step` is the update that was not made, counted from 0."""
    gradients, rate = found.gradients, found.rate
    named = list(learner.model.named_parameters())
    weight = _first_not_finite(named)
    gradient = _first_not_finite((name, p.grad) for name, p in named if p.grad is not None)
    evidence = {
        "step": step,
        **({"phase": found.phase.name} if found.phase.name else {}),
        "loss": _number(gradients.loss),
        "lr": rate,
        "gradient_norm": _number(gradients.norm),
        "first_parameter_not_finite": weight,
        "first_gradient_not_finite": gradient,
        "epoch": portion.epoch,
        "examples": portion.ids.tolist(),
    }
    path = run.path / f"diverged-{step:06d}.json"
    with suppress(OSError):  # the message says what matters, also on a full disk
        path.write_text(json.dumps(evidence, indent=2) + "\n")
    what = "the loss" if not math.isfinite(gradients.loss) else "the gradient"
    what += f" of the phase `{found.phase.name}`" if found.phase.name else ""
    where = f"; the first weight that is none is {weight}" if weight else ""
    where = f"; the first gradient that is none is that of {gradient}" if gradient and not where else where
    saved = committed(run.checkpoints)
    kept = f"the weights of step {saved[-1].step} are saved" if saved else "no checkpoint was made before"
    return Diverged(
        f"step {step}: {what} is not a finite number (loss {gradients.loss:g}, gradient norm {gradients.norm:g})"
        f" at learning rate {rate:g}{where}",
        f"Lower the learning rate, warm up longer, or clip gradients (clip = 1.0); {kept}. Particulars: {path}.",
        evidence=path,
    )


def _first_not_finite(tensors: Iterable[tuple[str, Tensor | None]]) -> str | None:
    return next((name for name, t in tensors if t is not None and not bool(torch.isfinite(t).all())), None)


def _number(value: float) -> float | str:
    """JSON has no word for what is not finite."""
    return value if math.isfinite(value) else str(value)
