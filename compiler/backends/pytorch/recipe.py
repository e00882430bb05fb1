"""How a model is trained, as plain functions: `<spec>_recipe.py`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...semantics.number import real
from ...training.optimizer import Optimizer
from ...training.plan import TrainPlan
from ...training.spelling import real_text
from .function import docstring
from .layout import fit
from .loss import write_losses
from .metrics import write_metrics
from .rates import write_learning_rate

if TYPE_CHECKING:
    from ..triton.file import KernelFile


def emit_recipe(plan: TrainPlan, source_name: str, model_name: str, kernels: KernelFile | None = None) -> str:
    """The recipe as readable, standalone PyTorch: `loss`, `metrics` where there are any, `parameter_groups`,
    `optimizer` and `learning_rate`. `source_name` is the spec's file name, for the docstring.

    With `kernels` the loss calls those where there are some, and they are written there.
    """
    assert plan.loss is not None  # a recipe with phases is not written yet
    fused = _fused(plan, kernels)
    functions = [
        *write_losses({"loss": plan.loss}, plan.ignored, fused),
        *write_metrics(plan),
        _parameter_groups(plan.optimizer),
        _optimizer(plan.optimizer),
        write_learning_rate(plan.schedule, plan.optimizer.lr, plan.run),
    ]
    body = "\n\n\n".join("\n".join(part for line in lines for part in fit(line)) for lines in functions)
    name = "" if plan.recipe == model_name else f" as {plan.recipe}"
    doc = (
        f"How {model_name} is trained{name}, from {source_name}: "
        "plain functions over the model's outputs, its parameters and the step."
    )
    imports = _imports(body)
    if kernels is not None and fused:
        imports += ["", f"from {kernels.module} import {', '.join(sorted(set(fused.values())))}"]
    return "\n".join([*docstring(doc), "", *imports, "", "", body, ""])


def _fused(plan: TrainPlan, kernels: KernelFile | None) -> dict[int, str]:
    """The functions with kernels that stand for losses, by the identity of the term."""
    if kernels is None:
        return {}
    from ..triton.losses import fused_losses

    return {id(term): kernels.add(features) for term, features in fused_losses(plan)}


def _imports(body: str) -> list[str]:
    standard = ["import math"] if re.search(r"\bmath\.", body) else []
    standard += ["import re"] if re.search(r"\bre\.", body) else []
    standard += ["from collections.abc import Callable"] if "Callable[" in body else []
    standard += ["from functools import cache"] if "@cache\n" in body else []
    functional = ["import torch.nn.functional as F"] if re.search(r"\bF\.", body) else []
    bleu = ["from sacrebleu.metrics import BLEU"] if re.search(r"\bBLEU\(", body) else []
    ours = [*standard, "from typing import Any", "", "import torch", *functional, *bleu, "from torch import Tensor, nn"]
    return ["from __future__ import annotations", "", *ours]


# --- optimizer -------------------------------------------------------------------------------------------------


def _parameter_groups(optimizer: Optimizer) -> list[str]:
    head = "def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:"
    decay = real_text(optimizer.decay)
    trained = "p for p in model.parameters() if p.requires_grad"
    if real(optimizer.decay) == 0:
        # PyTorch's AdamW decays unless it is told not to.
        none = ', "weight_decay": 0.0' if optimizer.decays_unasked else ""
        doc = '    """All parameters in one group, without weight decay."""'
        return [head, doc, f"    parameters = [{trained}]", f'    return [{{"params": parameters{none}}}]']
    if optimizer.decay_on == "all":
        doc = '    """All parameters in one group: weight decay acts on each of them."""'
        lines = [f"    parameters = [{trained}]", f'    return [{{"params": parameters, "weight_decay": {decay}}}]']
        return [head, doc, *lines]
    return [
        head,
        '    """Weight decay acts on matrices only: not on biases, gains and other vectors."""',
        f"    parameters = [{trained}]",
        "    return [",
        f'        {{"params": [p for p in parameters if p.ndim >= 2], "weight_decay": {decay}}},',
        '        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},',
        "    ]",
    ]


def _optimizer(optimizer: Optimizer) -> list[str]:
    kind, options = optimizer.constructor()
    arguments = ", ".join(["parameter_groups(model)", f"lr={real_text(optimizer.lr)}", *options])
    head = "def optimizer(model: nn.Module) -> torch.optim.Optimizer:"
    return [head, f"    return torch.optim.{kind}({arguments})"]
