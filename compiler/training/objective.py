"""The `loss` of a recipe: an expression over losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from ...grammar import tree
from ...grammar.frozen import Frozen
from ..build.arguments import all_of
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.number import Number, equal, written
from .calls import resolved
from .comparison import read_comparison
from .language import LOSSES
from .measure import Loss, Value
from .modules import check_modules
from .names import Names


class LossTerm(Frozen):
    """A loss and its inputs, and behind them what it needs: the model, where it is a loss of weights."""

    loss: Loss
    values: tuple[Value, ...]

    @property
    def said(self) -> Value:
        return self.values[0]

    @property
    def true(self) -> Value:
        return self.values[1]

    @property
    def asks_class(self) -> bool:
        """Whether what is true is a class for each row of what is said."""
        return self.loss.asks_class(self.values)


class Scaled(Frozen):
    """`factor * of`, or `of / factor`."""

    factor: Number
    of: Objective
    divides: bool = False


class Sum(Frozen):
    """`left + right` or `left - right`."""

    operator: str
    left: Objective
    right: Objective


Objective: TypeAlias = "LossTerm | Scaled | Sum"


def terms(objective: Objective) -> Iterator[LossTerm]:
    """The losses of an expression, from left to right."""
    match objective:
        case LossTerm():
            yield objective
        case Scaled(of=of):
            yield from terms(of)
        case Sum(left=left, right=right):
            yield from terms(left)
            yield from terms(right)


def read_loss(flow: tree.Flow, names: Names) -> Objective | None:
    """The loss that is written, or None (reported)."""
    objective = _expression(flow, names)
    if objective is None:
        return None
    found = list(terms(objective))
    if not any(v.origin == "output" for term in found for v in term.values):
        message = f"this loss does not depend on {names.ports.model}: no output stands in it"
        names.report.error(
            "nothing-to-train",
            message,
            flow.span,
            "no output here",
            help=all_of("output", [*names.ports.outputs]),
        )
        return None
    return objective if one_ignored(found, names) and _takes_mixed(found, names) else None


def _expression(flow: tree.Flow, names: Names) -> Objective | None:
    flow, _ = resolved(flow, names.scope)
    match flow:
        case tree.Binary(operator="+" | "-" as operator, left=left, right=right):
            first, second = _expression(left, names), _expression(right, names)
            return None if first is None or second is None else Sum(operator, first, second)
        case tree.Binary(operator="*", left=left, right=right):
            factor, of = (left, right) if _is_factor(left, names) else (right, left)
            return _scaled(factor, of, names, divides=False)
        case tree.Binary(operator="/", left=left, right=right):
            return _scaled(right, left, names, divides=True)
        case tree.Stage():
            return _term(flow, names)
    help = "such as `cross_entropy(logits, data.label)`, or a sum of several: `a + 0.5 * b`"
    names.report.error("wrong-value", "`loss` takes a loss", flow.span, "not a loss", help=help)
    return None


def _is_factor(flow: tree.Flow, names: Names) -> bool:
    """Whether a side of `*` is a number and not a loss."""
    match flow:
        case tree.Number() | tree.Percent() | tree.Negate():
            return True
        case tree.Binary(left=left, right=right):
            return _is_factor(left, names) and _is_factor(right, names)
        case tree.Stage(path=tree.Path(parts=(name,)), args=None):
            return is_number(names.scope.find(name))
    return False


def _scaled(factor: tree.Flow, of: tree.Flow, names: Names, *, divides: bool) -> Objective | None:
    number = evaluate(factor, names.scope, names.report)
    objective = _expression(of, names)
    if number is FAULT or objective is None:
        return None
    if not is_number(number) or not number.value:
        message = "a loss is multiplied by a number other than 0"
        names.report.error("wrong-value", message, factor.span, "not such a number", help="such as `0.5 * mse(..)`")
        return None
    return Scaled(number, objective, divides)


def _term(flow: tree.Stage, names: Names) -> LossTerm | None:
    found = read_comparison(flow, "loss", "losses", Loss, LOSSES, names)
    if found is None:
        return None
    loss, values = found
    weights = getattr(loss, "weights", ())
    values = (*values, *loss.needs(values, flow.span))
    return LossTerm(loss, values) if check_modules(weights, "loss", names.ports, names.report) else None


def one_ignored(found: list[LossTerm], names: Names) -> bool:
    """Entries that do not count are counted once for the whole loss: all class losses have to agree on them."""
    classes = [term for term in found if term.loss.counts_classes]
    for term in classes[1:]:
        first, second = classes[0].loss.ignored, term.loss.ignored
        same = first is second or (first is not None and second is not None and equal(first, second))
        if not same:
            message = "the losses of one recipe ignore the same targets"
            label = f"ignores {'nothing' if second is None else written(second)}"
            other = f"ignores {'nothing' if first is None else written(first)}"
            labels = ((classes[0].said.span, other),)
            help = f"write `ignore = {written(first or second)}` in both"  # type: ignore[arg-type]
            names.report.error("conflict", message, term.said.span, label, labels=labels, help=help)
            return False
    return True


def _takes_mixed(found: list[LossTerm], names: Names) -> bool:
    """Where labels are probabilities of the classes, a loss of them has to be one that takes those."""
    mixing = None if names.data is None else names.data.mixing
    if names.data is None or mixing is None:
        return True
    for term in found:
        mixed = next((value for value in term.values if names.data.mixes(value.source)), None)
        only_for = None if mixed is None else term.loss.only_for_classes
        if mixed is not None and only_for is not None:
            word = mixing.options.word
            message = f"`{word}` makes labels probabilities of the classes, and {only_for} takes one class for each"
            labels = ((mixing.span, "labels are mixed here"),)
            help = f"take `{word}` out, or compare with `cross_entropy({term.said.shown}, {mixed.shown})`"
            names.report.error("conflict", message, mixed.span, "several classes at once", help=help, labels=labels)
            return False
    return True
