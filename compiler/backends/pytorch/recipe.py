"""How a model is trained, as plain functions: `<spec>_recipe.py`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...training.plan import TrainPlan
from .experts import write_balance_loss
from .function import docstring
from .layout import fit
from .loss import write_losses
from .metrics import write_metrics
from .parts import Parts
from .rates import write_learning_rate
from .updates import imported_optimizers, write_updates

if TYPE_CHECKING:
    from ..triton.file import KernelFile


def emit_recipe(
    plan: TrainPlan,
    source_name: str,
    model_name: str,
    kernels: KernelFile | None = None,
    parts: Parts = Parts(),  # noqa: B008
) -> str:
    """The recipe as readable, standalone PyTorch: `loss`, `metrics` where there are any, `parameter_groups`,
    `optimizer` and `learning_rate`. `source_name` is the spec's file name, for the docstring.

    With `kernels` the loss calls those where there are some, and they are written there. `parts` are those of the
    model, which the recipe may name.
    """
    fused = _fused(plan, kernels)
    functions = [
        *write_losses(plan.objectives, plan.ignored, fused),
        *([write_balance_loss()] if parts.balanced else []),
        *write_metrics(plan),
        *write_updates(plan, parts),
        *_learning_rates(plan),
    ]
    body = "\n\n\n".join("\n".join(part for line in lines for part in fit(line)) for lines in functions)
    name = "" if plan.recipe == model_name else f" as {plan.recipe}"
    doc = (
        f"How {model_name} is trained{name}, from {source_name}: "
        "plain functions over the model's outputs, its parameters and the step."
    )
    imports = _imports(body, imported_optimizers(plan))
    if kernels is not None and fused:
        imports += ["", f"from {kernels.module} import {', '.join(sorted(set(fused.values())))}"]
    return "\n".join([*docstring(doc, more=_phases(plan)), "", *imports, "", "", body, ""])


def _learning_rates(plan: TrainPlan) -> list[list[str]]:
    """One function for all phases, or one each."""
    peaks = {plan.rate_functions[phase]: optimizer.lr for phase, optimizer in plan.optimizers.items()}
    return [write_learning_rate(plan.schedule, peak, plan.run, name) for name, peak in peaks.items()]


def _phases(plan: TrainPlan) -> str:
    """What a step is, where it has phases."""
    if not plan.phases:
        return ""
    times = {1: "", 2: " twice"}
    order = ", then ".join(f"`{p.name}`{times.get(p.times, f' {p.times} times')}" for p in plan.phases)
    return (
        f"A step runs the phases on one batch, each with the weights as they then are: {order}. "
        "All of the model runs as in training; gradients reach what the phase updates, and running statistics of other "
        "parts are put back."
    )


def _fused(plan: TrainPlan, kernels: KernelFile | None) -> dict[int, str]:
    """The functions with kernels that stand for losses, by the identity of the term."""
    if kernels is None:
        return {}
    from ..triton.losses import fused_losses

    return {id(term): kernels.add(features) for term, features in fused_losses(plan)}


def _imports(body: str, optimizers: list[str]) -> list[str]:
    standard = ["import math"] if re.search(r"\bmath\.", body) else []
    standard += ["import re"] if re.search(r"\bre\.", body) else []
    standard += ["from collections.abc import Callable"] if "Callable[" in body else []
    standard += ["from functools import cache"] if "@cache\n" in body else []
    standard += ["from itertools import islice"] if "islice(" in body else []
    functional = ["import torch.nn.functional as F"] if re.search(r"\bF\.", body) else []
    bleu = ["from sacrebleu.metrics import BLEU"] if re.search(r"\bBLEU\(", body) else []
    others = [*optimizers, *bleu, "from torch import Tensor, nn"]
    if "get_ema_multi_avg_fn(" in body:
        others.append("from torch.optim.swa_utils import get_ema_multi_avg_fn")
    ours = [*standard, "from typing import Any", "", "import torch", *functional, *others]
    return ["from __future__ import annotations", "", *ours]
