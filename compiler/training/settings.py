"""Everything about a training run that is neither the model's code nor the recipe's, as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ..ir.graph import Graph
from ..ir.least import least_sizes
from ..ir.rows import rows_of_inputs
from ..ir.weights import momentum_copies
from ..semantics.bounds import limit
from ..semantics.number import is_whole, real, spelled, whole
from ..semantics.tensor import Tensor
from .arguments import argument_names
from .lengths import Length
from .measure import MeanMetric, SetMetric, Value, width
from .objective import Objective, terms
from .parts import counting, mixed
from .phases import Phase
from .plan import TrainPlan
from .schedules.plateau import Plateau
from .set_states import state_names, ways
from .targets import asked_of_targets

SCHEMA = 1
KEEP = 2


def settings(
    plan: TrainPlan, name: str, model: dict[str, Any], loss: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """The settings of a recipe. `name` is the stem of the spec's file, `model` the section about the model, and `loss`
    what more there is to say of the loss where kernels compute it."""
    losses = _losses(plan, model, loss)
    return (
        {
            "schema": SCHEMA,
            "name": name,
            "recipe": plan.recipe,
            "model": model,
            "data": plan.data.settings(),
            "bind": dict(plan.bind),
            **losses,
            "metrics": _metrics(plan),
            "steps": whole(plan.run.count) if plan.run.unit == "steps" else None,
            "epochs": plan.run.as_json()["epochs"] if plan.run.unit == "epochs" else None,
            "batch": plan.batch,
            "accumulate": plan.accumulate,
            "clip": None if plan.clip is None else real(plan.clip),
            "clip_value": None if plan.clip_value is None else real(plan.clip_value),
            "precision": plan.precision,
            "seed": plan.seed,
            "deterministic": plan.deterministic,
            "validate": _length(plan.validate),
            "checkpoint": {
                "every": None if plan.checkpoint is None else _length(plan.checkpoint.length),
                "keep": KEEP if plan.checkpoint is None else whole(plan.checkpoint.keep),
            },
            "early_stop": None
            if plan.early_stop is None
            else {"patience": whole(plan.early_stop.validations), "on": plan.early_stop.on},
            "sample": None
            if plan.sample is None
            else {"every": _length(plan.sample.length), "prompt": plan.sample.prompt},
        }
        | _set_metrics(plan)
        | _targets(plan, losses)
        | _start(plan)
        | _plateau(plan)
        | _stages(plan)
    )


def _losses(plan: TrainPlan, model: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The loss, or the phases, each with its own."""
    if plan.loss is not None:
        return {"loss": _loss(plan, plan.loss) | dict(more)}
    rates = plan.rate_functions
    phases = [
        {
            "name": phase.name,
            "loss": _loss(plan, phase.loss),
            "times": phase.times,
            "updates": _moved(phase, model.get("copies", {})),
            "learning_rate": rates[phase.name],
            "outputs": [port["name"] for port in model["outputs"] if port["name"] in plan.asked[phase.name]],
        }
        for phase in plan.phases
    ]
    return {"phases": phases}


def _moved(phase: Phase, copies: Iterable[str]) -> list[str]:
    """The modules whose running statistics move in a phase: those that it updates, and momentum copies, which no phase
    updates."""
    return [*(name.text for name in phase.update), *copies]


def _loss(plan: TrainPlan, objective: Objective) -> dict[str, Any]:
    values = [value for term in terms(objective) for value in term.values]
    found = {"arguments": _arguments(values), "ignore": _ignored(plan), "classes": _classes(objective)}
    return found | _counted(plan, objective) | _alike(objective)


def _plateau(plan: TrainPlan) -> dict[str, Any]:
    """What makes the rate fall; `after` are the lengths of the stages before."""
    for number, stage in enumerate(plan.schedule.stages):
        if isinstance(stage, Plateau):
            after = [_length(one.takes) for one in plan.schedule.stages[:number]]
            return {"plateau": {"patience": whole(stage.patience), "on": stage.on, "after": after}}
    return {}


def _stages(plan: TrainPlan) -> dict[str, Any]:
    """The stages of a schedule in steps, of a run in passes: only the data says whether they fit in."""
    stages = plan.schedule.stages
    lengths = [length for stage in stages for length in (stage.takes, *stage.points) if length is not None]
    if plan.run.unit != "epochs" or all(length.unit != "steps" for length in lengths):
        return {}
    return {
        "stages": [
            {"word": stage.word, "takes": _length(stage.takes), "points": [_length(point) for point in stage.points]}
            for stage in stages
        ]
    }


def model_settings(graph: Graph, parameters: int) -> dict[str, Any]:
    """The section about the model: what flows in and out, and how large and how small open dims may get."""
    unit, copies, rows = graph.model, momentum_copies(graph), rows_of_inputs(graph)
    outputs = [_port(name, value.type) for name, value in zip(graph.outputs, unit.outputs, strict=True)]
    return {
        "class": unit.name,
        "inputs": [
            _port(value.name or "", value.type) | ({"rows": rows[value.name or ""]} if value.name in rows else {})
            for value in unit.inputs
        ],
        "outputs": outputs,
        "limits": {name: int(limit(most) or 0) for name, most in graph.limits.items()},
        "least": least_sizes(graph),
        "parameters": parameters,
    } | ({"copies": copies} if copies else {})


def _port(name: str, known: object) -> dict[str, Any]:
    assert isinstance(known, Tensor)
    dims = [whole(dim) if is_whole(dim) else spelled(dim, lambda reference: reference.name) for dim in known.dims]
    return {"name": name, "dtype": known.dtype, "dims": dims}


def _arguments(values: Iterable[Value]) -> dict[str, str]:
    return {argument: source for source, argument in argument_names(values).items()}


def _ignored(plan: TrainPlan) -> int | None:
    return None if plan.ignored is None or whole(plan.ignored) == -100 else whole(plan.ignored)


def _classes(objective: Objective) -> dict[str, Any] | None:
    """The first output that is held against classes of the data: it has to be as wide as there are."""
    for term in terms(objective):
        classes = width(term.said) if term.asks_class else None
        if term.asks_class and term.true.origin == "data" and term.said.origin == "output" and classes is not None:
            return {"output": term.said.name, "width": whole(classes), "field": term.true.name}
    return None


def _counted(plan: TrainPlan, objective: Objective) -> dict[str, Any]:
    """What a part of a batch weighs, where that is not how many targets of `classes` count."""
    over = counting(objective)
    if over.targets is None:
        return {"per_example": True}
    found: dict[str, Any] = {"mixed": True} if mixed(objective) else {}
    if _classes(objective) is None:
        field = over.targets.name if over.targets.origin == "data" else plan.bind.get(over.targets.name)
        found |= {} if field is None else {"targets": field}
    return found | ({} if over.weights is None else {"class_weights": [real(weight) for weight in over.weights]})


def _alike(objective: Objective) -> dict[str, Any]:
    """The outputs that are compared entry by entry with fields of which only the data knows the shape.

    They have to agree but for axes of 1, such as [B, 1] and [B].
    """
    pairs = [
        {"output": term.said.name, "field": term.true.name}
        for term in terms(objective)
        if term.loss.compares_entries(term.values)
        and term.said.origin == "output"
        and term.true.origin == "data"
        and not isinstance(term.true.type, Tensor)
    ]
    return {"alike": pairs} if pairs else {}


def _metrics(plan: TrainPlan) -> dict[str, Any] | None:
    metrics = plan.mean_metrics
    if not metrics:
        return None
    ignored = _ignored(plan)
    return (
        {
            "arguments": _arguments(plan.metric_values(metrics)),
            "names": [measured.name for measured in metrics],
            "after": {m.name: m.metric.after for m in metrics if isinstance(m.metric, MeanMetric) and m.metric.after},
        }
        | ({} if ignored is None else {"ignore": ignored})
        | _counts(plan, ignored)
        | _hits(plan, ignored)
    )


def _hits(plan: TrainPlan, ignored: int | None) -> dict[str, Any]:
    """Of metrics that are so many hits out of so many entries, what has these entries: the targets that count, or the
    scores where a number stands for all targets."""
    lost = {term.true.source for term in plan.terms if term.asks_class}
    found: dict[str, dict[str, Any]] = {}
    for measured in plan.mean_metrics:
        true = measured.true
        field = {"data": true.name, "input": plan.bind.get(true.name)}.get(true.origin)
        if not (isinstance(measured.metric, MeanMetric) and measured.metric.of_hits):
            continue
        if field is not None:
            also = {} if ignored is None or true.source not in lost else {"ignore": ignored}
            found[measured.name] = {"targets": field} | also
        elif not measured.asks_class:
            found[measured.name] = {"scores": measured.said.source}
    return {"hits": found} if found else {}


def _counts(plan: TrainPlan, ignored: int | None) -> dict[str, Any]:
    """What a batch weighs in the mean of each metric, where these are not all over the same targets: so many of those
    of a field as count, or so many examples."""
    lost = {term.true.source for term in plan.terms if term.asks_class}
    found: dict[str, dict[str, Any] | None] = {}
    for measured in plan.mean_metrics:
        true = measured.true
        field = {"data": true.name, "input": plan.bind.get(true.name)}.get(true.origin)
        targets = field if measured.asks_class or (measured.metric.masks and true.partial) else None
        found[measured.name] = None if targets is None else {"targets": targets}
        if targets is not None and ignored is not None and true.source in lost:
            found[measured.name] = {"targets": targets, "ignore": ignored}
    kinds = [kind for i, kind in enumerate(found.values()) if kind not in list(found.values())[:i]]
    if len(kinds) > 1:
        return {"counts": found}
    return {"per_example": True} if kinds == [None] else {}


def _set_metrics(plan: TrainPlan) -> dict[str, Any]:
    """What is kept of each batch for metrics of a whole set, by name, and how it is put together."""
    metrics = plan.set_metrics
    if not metrics:
        return {}
    keep = {name: way for m in metrics for name, way in zip(state_names(m), ways(m), strict=True)}
    decodes = any(isinstance(m.metric, SetMetric) and m.metric.decodes for m in metrics)
    arguments = _arguments(plan.metric_values(metrics))
    return {"set_metrics": {"arguments": arguments, "keep": keep, "decodes": decodes}}


def _targets(plan: TrainPlan, losses: Mapping[str, Any]) -> dict[str, Any]:
    said = [phase["loss"] for phase in losses["phases"]] if "phases" in losses else [losses["loss"]]
    asked = asked_of_targets(plan, said)
    return {"targets": asked} if asked else {}


def _start(plan: TrainPlan) -> dict[str, Any]:
    return {} if plan.start is None else {"start": plan.start.settings()}


def _length(length: Length | None) -> dict[str, Any] | None:
    return None if length is None else length.as_json()
