"""A schedule is no longer than the run, where that is a number of passes over the data and stages are so many steps."""

from __future__ import annotations

from .errors import Refused
from .settings import Length, Settings


def check_schedule(settings: Settings, examples: int) -> None:
    """Raises Refused where the stages do not fit into a run over that many training examples."""
    per_epoch = examples // settings.batch
    if settings.epochs is None or not per_epoch:
        return
    steps = max(1, round(settings.epochs * per_epoch))
    has = f"the run, which has {steps:,} steps: {examples:,} examples in batches of {settings.batch:,}"
    shorter = "or make the run longer"
    taken = 0.0
    for stage in settings.stages:
        for point in stage.points:
            if _in_steps(point, per_epoch, steps) >= steps:
                raise Refused(f"`{stage.word}` names a place behind the end of {has}", f"leave it out, {shorter}")
        if stage.takes is None:
            if taken >= steps:
                text = f"the stages before `{stage.word}` take all of {has}"
                raise Refused(text, f"make them shorter, {shorter}")
            return
        length = _in_steps(stage.takes, per_epoch, steps)
        taken += length
        if length > steps:
            help = f"make it shorter, such as `{stage.word}(5%)` of the run, {shorter}"
            raise Refused(f"`{stage.word}` is longer than {has}", help)
        if taken > steps + 0.5:
            raise Refused(f"the stages up to `{stage.word}` are longer than {has}", f"make them shorter, {shorter}")


def _in_steps(length: Length, per_epoch: int, steps: int) -> float:
    """In updates, not rounded: a half of the run and the other are all of it."""
    if length.steps is not None:
        return length.steps
    return length.epochs * per_epoch if length.epochs is not None else (length.part or 0) * steps
