"""What a loss is a mean over: by that the parts of a batch are weighed, where `accumulate` computes it in several."""

from __future__ import annotations

from collections.abc import Sequence

from ...grammar.frozen import Frozen
from ..semantics.number import Number, equal, real, whole
from ..semantics.report import Report
from .lines import Lines
from .measure import Value
from .objective import LossTerm, Objective, terms
from .run import Run
from .spelling import whole_text


class Over(Frozen):
    """What a loss is a mean over: the examples, or the targets that count, each as much as its class does."""

    targets: Value | None = None
    ignored: Number | None = None
    weights: tuple[Number, ...] | None = None

    @property
    def partial(self) -> bool:
        """Whether it is known that not all targets count alike; of what is read later nobody knows."""
        target = self.targets
        marked = target is not None and target.field is not None and target.field.partial
        return marked or self.ignored is not None or self.weights is not None

    def like(self, other: Over) -> bool:
        if not self.partial and not other.partial:
            return True
        same_targets = self.targets is not None and other.targets is not None and self.source == other.source
        return same_targets and _same(self.ignored, other.ignored) and _weights(self) == _weights(other)

    @property
    def source(self) -> str:
        return "" if self.targets is None else self.targets.source


EXAMPLES = Over()


def mean_over(term: LossTerm) -> Over | None:
    """None of a loss that is the same for every part: one of weights."""
    loss = term.loss
    if not loss.takes:
        return None
    if not term.asks_class or term.true.number is not None or getattr(loss, "reduce", "mean") == "sum":
        return EXAMPLES
    return Over(term.true, loss.ignored, loss.class_weights)


def counting(objective: Objective) -> Over:
    """By what the parts of a batch are weighed: the first that has targets which may not count, else examples."""
    found = [over for over in map(mean_over, terms(objective)) if over is not None]
    first = next((over for over in found if over.partial), None)
    return first or next((over for over in found if over.targets is not None), EXAMPLES)


def mixed(objective: Objective) -> bool:
    """Whether a part has to have the same share of targets that count as of examples, since one of its losses is a mean
    over these and another over those."""
    found = [over for over in map(mean_over, terms(objective)) if over is not None]
    return len({over.source for over in found}) > 1


def check_losses(objectives: Sequence[Objective], settings: Run | None, lines: Lines, report: Report) -> None:
    """What the losses of a recipe ask of its batch, and of one another."""
    _check_parts(objectives, settings, lines, report)
    _check_states(objectives, settings, report)


def _check_states(objectives: Sequence[Objective], settings: Run | None, report: Report) -> None:
    """Keys are kept once, in a queue that a batch has room in."""
    first: dict[str, LossTerm] = {}
    for term in (term for objective in objectives for term in terms(objective)):
        state = term.loss.state(term.values)
        if state is None:
            continue
        before = first.setdefault(state[0], term)
        if before is not term:
            message = f"two losses keep `{term.true.shown}` from batch to batch"
            labels = ((before.true.span, "kept here first"),)
            help = "take `queue = 0` in one of them"
            report.error("conflict", message, term.true.span, "kept again here", labels=labels, help=help)
        queue = getattr(term.loss, "queue", None)
        if settings is not None and queue is not None and whole(queue) < whole(settings.batch):
            message = f"a queue of {whole(queue):,} keys has no room for those of a batch of {whole(settings.batch):,}"
            help = f"write `queue = {whole_text(settings.batch)}` or more"
            report.error("conflict", message, term.said.span, "this loss", help=help)


def _check_parts(objectives: Sequence[Objective], settings: Run | None, lines: Lines, report: Report) -> None:
    """The losses of the parts of a batch come to that of the whole batch."""
    if settings is None or "accumulate" not in lines or whole(settings.accumulate) == 1:
        return
    place = lines["accumulate"].value.span
    for objective in objectives:
        found = list(terms(objective))
        pairs = next((term for term in found if term.loss.over_pairs), None)
        overs = [(term, over) for term in found if (over := mean_over(term)) is not None]
        first, other = next(
            ((a, b) for i, a in enumerate(overs) for b in overs[i + 1 :] if not a[1].like(b[1])), (None, None)
        )
        if pairs is not None:
            message = f"`{pairs.loss.word}` holds examples of the whole batch against each other, and parts have fewer"
            labels = ((pairs.said.span, f"`{pairs.loss.word}`"),)
        elif first is not None and other is not None:
            message = (
                f"a part of the batch weighs {_by(first[1])} in `{first[0].loss.word}` and {_by(other[1])} in "
                f"`{other[0].loss.word}`: the losses of parts do not come to that of the batch"
            )
            labels = tuple((term.said.span, f"`{term.loss.word}`") for term, _ in (first, other))
        else:
            continue
        report.error("conflict", message, place, "several parts", help="take `accumulate` out", labels=labels)
        return


def _by(over: Over) -> str:
    if over.weights is not None:
        return "as much as the classes of its targets"
    return "by its targets that count" if over.partial else "by its examples"


def _same(a: Number | None, b: Number | None) -> bool:
    return a is b or (a is not None and b is not None and equal(a, b))


def _weights(over: Over) -> list[float] | None:
    return None if over.weights is None else [real(weight) for weight in over.weights]
