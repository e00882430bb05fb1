"""Which losses of a recipe kernels compute."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...scalars.expression import Expression
from ...semantics.number import Number, real, whole
from ...semantics.tensor import Tensor
from ...training.arguments import argument_names
from ...training.losses.cross_entropy import CrossEntropy
from ...training.objective import LossTerm
from ...training.plan import TrainPlan
from .cross_entropy_features import CrossEntropyFeatures


def fused_losses(plan: TrainPlan) -> Iterator[tuple[LossTerm, CrossEntropyFeatures]]:
    """The cross-entropies of rows of logits, with what each asks of its kernels."""
    if plan.phases:
        return  # kernels are for the one loss of a model
    if any(re.fullmatch(r"cross_entropy(_\d+)?", name) for name in argument_names(plan.loss_values()).values()):
        return  # an argument of the loss would hide the function
    for term in plan.terms:
        if isinstance(term.loss, CrossEntropy) and _rows(term, plan):
            yield term, features_of(term.loss, ignored(plan))


def features_of(loss: CrossEntropy, ignore: Number | None, function: Expression | None = None) -> CrossEntropyFeatures:
    """What it asks of its kernels; `function` makes logits of what comes in."""
    return CrossEntropyFeatures(
        smoothing=real(loss.smoothing) != 0,
        ignore=ignore is not None,
        z_loss=real(loss.z_loss) != 0,
        weights=loss.weight is not None,
        function=function,
        summed=loss.reduce == "sum",
    )


def _rows(term: LossTerm, plan: TrainPlan) -> bool:
    """Whether a class is asked for each row: it is not mixed, and classes stand last, not on axis 1 as in pictures."""
    said = term.said.type
    return isinstance(said, Tensor) and said.rank not in (4, 5) and not plan.data.mixes(term.true.source)


def ignored(plan: TrainPlan) -> Number | None:
    """The target that does not count, where it is not -100."""
    return None if plan.ignored is None or whole(plan.ignored) == -100 else plan.ignored


def own_dtype(plan: TrainPlan) -> list[str]:
    """The outputs that the loss takes in the dtype they come in: kernels alone read them."""
    fused = [id(term) for term, _ in fused_losses(plan)]
    others = {value.source for term in plan.terms if id(term) not in fused for value in term.values}
    read = dict.fromkeys(term.said.source for term in plan.terms if id(term) in fused)
    return [source for source in read if source.startswith("output.") and source not in others]
