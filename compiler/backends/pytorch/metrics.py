"""What is measured beside the loss, as functions of a recipe: `metrics` gives means over a batch; of metrics that are
no means `metric_states` gives what each batch adds, and `metric_values` what comes out for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...training.arguments import argument_names
from ...training.measure import MeanMetric, Operand, SetMetric
from ...training.set_states import state_names
from .function import Definitions, Function
from .ignored import mask_ignored

if TYPE_CHECKING:
    from ...training.metric_list import Measured
    from ...training.plan import TrainPlan

DECODE = "decode: Callable[[list[int]], str]"


def write_metrics(plan: TrainPlan) -> list[list[str]]:
    """The functions, as lines each."""
    means, sets = plan.mean_metrics, plan.set_metrics
    definitions = Definitions()
    written = [_states(plan, sets), _values(sets, definitions)] if sets else []
    return [*([_means(plan, means)] if means else []), *definitions.texts, *written]


def _means(plan: TrainPlan, metrics: Sequence[Measured]) -> list[str]:
    names = argument_names(plan.metric_values(metrics))
    function = Function(names.values())
    counting = _Counting(plan, metrics, names, function)
    entries: list[tuple[str, str]] = []
    exponential: list[str] = []
    for measured in metrics:
        assert isinstance(measured.metric, MeanMetric)
        said, true, counted = counting.operands(measured)
        entries.append((measured.name, measured.metric.code(said, true, counted, function)))
        exponential += [measured.name] if measured.metric.after == "exp" else []
    function.give(entries)
    doc = f"What is measured beside the loss, each a mean over all entries{' that count' if counting.masks else ''}."
    if exponential:
        doc = f"{doc.removesuffix('.')}; {exponential[0]} is the exponential of the last mean."
    return function.text("metrics", names.values(), "dict[str, Tensor]", doc)


def _states(plan: TrainPlan, metrics: Sequence[Measured]) -> list[str]:
    names = argument_names(plan.metric_values(metrics))
    function = Function(names.values())
    counting = _Counting(plan, metrics, names, function)
    entries: list[tuple[str, str]] = []
    for measured in metrics:
        assert isinstance(measured.metric, SetMetric)
        said, true, counted = counting.operands(measured)
        kept = measured.metric.kept(said, true, counted, function)
        entries += zip(state_names(measured), kept, strict=True)
    function.give(entries)
    doc = f"What {_listed(metrics)} of a whole set keep{'s' * (len(metrics) == 1)} of a batch: {_together(metrics)}."
    return function.text("metric_states", names.values(), "dict[str, Tensor]", doc)


def _values(metrics: Sequence[Measured], definitions: Definitions) -> list[str]:
    kept = {measured.name: state_names(measured) for measured in metrics}
    parameters = [name for names in kept.values() for name in names]
    function = Function([*parameters, "decode"], definitions)
    entries: list[tuple[str, str]] = []
    decoding: list[str] = []
    for measured in metrics:
        assert isinstance(measured.metric, SetMetric)
        decoding = [DECODE] if measured.metric.decodes else decoding
        entries.append((measured.name, measured.metric.value(kept[measured.name], function)))
    function.give(entries)
    doc = f"{_listed(metrics)} over a whole set, of what its batches keep."
    return function.text("metric_values", [*parameters, *decoding], "dict[str, float]", doc)


class _Counting:
    """The inputs of metrics in a function, and which of their entries count."""

    def __init__(
        self, plan: TrainPlan, metrics: Sequence[Measured], names: Mapping[str, str], function: Function
    ) -> None:
        lost = {term.true.source for term in plan.terms if term.asks_class}
        classes = [m.true for m in metrics if m.asks_class and m.true.source in lost]
        self._names, self._function = names, function
        self._ignored = mask_ignored(function, classes, plan.ignored, names)
        self.masks: dict[str, str] = {}

    def operands(self, measured: Measured) -> tuple[Operand, Operand, str | None]:
        """What is said, what is true, and the mask of the entries that count where not all do."""
        said, true = (Operand(value, self._names.get(value.source, "")) for value in (measured.said, measured.true))
        if not measured.metric.masks or not (measured.true.partial or measured.true.source in self._ignored):
            return said, true, None
        if true.text not in self.masks:
            self.masks[true.text] = self._function.assign("counted", f"{true.text} != -100")
        return said, true, self.masks[true.text]


def _together(metrics: Sequence[Measured]) -> str:
    """How the states of batches become those of a set."""
    done = {"sum": "add up", "join": "are joined"}
    found: dict[str, list[str]] = {}
    for measured in metrics:
        assert isinstance(measured.metric, SetMetric)
        for name, way in zip(state_names(measured), measured.metric.keeps.values(), strict=True):
            found.setdefault(way, []).append(name)
    return "; ".join(f"{_and(names)} {done[way]}" for way, names in found.items())


def _listed(metrics: Sequence[Measured]) -> str:
    return _and([measured.name for measured in metrics])


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
