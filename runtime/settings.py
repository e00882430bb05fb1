"""The settings of an artefact (JSON from the compiler) as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .errors import Refused

SCHEMA = 1
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")

Precision = Literal["fp32", "tf32", "bf16", "fp16"]


@dataclass(frozen=True)
class Port:
    """An input or output of the model; a text among `dims` is a symbolic dim or an expression of such. Whole numbers
    that pick from a table are below its `rows`."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]
    rows: int | None = None


@dataclass(frozen=True)
class Classes:
    """The output that is `width` wide because the data field `field` has that many classes."""

    output: str
    width: int
    field: str


@dataclass(frozen=True)
class Measure:
    """Where the arguments of `loss` or `metrics` come from, and which targets do not count.

    `arguments` maps an argument to "output.NAME", "input.NAME" or "data.FIELD". `after` names what is applied to a
    metric's mean over the whole set ("exp" makes a perplexity of a mean loss). `alike` are pairs of an output and a
    data field that are compared entry by entry, and so must agree in shape but for axes of 1. `own_dtype` has the
    sources that are taken in the dtype they come in; other outputs of 16 bits are made float32. `in_model` is of a loss
    that the model computes in training: what it is given by keyword, and the source of that.

    A mean is one over the targets of `classes` (or the field `targets`) that count, each as much as its class in
    `class_weights`; or where it is `per_example`, over examples; where it is `mixed`, one part of it over these and
    another over those. Of metrics each may be another mean: `counts` then has a measure for each, by name; `hits` has
    those that are so many hits out of so many entries. Sources of a loss may be "model" and "state.NAME", too.
    """

    arguments: Mapping[str, str]
    ignore: int | None = None
    classes: Classes | None = None
    names: tuple[str, ...] = ()
    after: Mapping[str, str] = field(default_factory=dict)
    alike: tuple[tuple[str, str], ...] = ()
    own_dtype: tuple[str, ...] = ()
    in_model: Mapping[str, str] = field(default_factory=dict)
    per_example: bool = False
    targets: str | None = None
    class_weights: tuple[float, ...] = ()
    mixed: bool = False
    counts: Mapping[str, Measure] = field(default_factory=dict)
    hits: Mapping[str, Hits] = field(default_factory=dict)


@dataclass(frozen=True)
class Hits:
    """What has the entries that may be hits: the field `targets`, but for those that are -100 or `ignore`, or all
    entries of the source `scores`."""

    targets: str | None = None
    scores: str | None = None
    ignore: int | None = None


@dataclass(frozen=True)
class SetMetrics:
    """Metrics of a whole set that are no means: what `metric_states` of the recipe is given, and what is done with what
    it keeps of each batch, by name: "sum" or "join". `decodes` says that `metric_values` turns tokens into text."""

    arguments: Mapping[str, str]
    keep: Mapping[str, str]
    decodes: bool


@dataclass(frozen=True)
class Target:
    """What the loss or metric `word` takes of a data field, beside `Measure.classes` and `Measure.alike`: "classes" of
    an output `width` wide (None where that is open), "entries" that the output has too, or entries that are "unit" (0
    to 1), "signs" (1 or -1) or "flags" (1 for what is true, 0 or -1 for the rest)."""

    word: str
    output: str
    field: str
    takes: Literal["classes", "entries", "unit", "signs", "flags"]
    width: int | None = None


@dataclass(frozen=True)
class Phase:
    """A part of an update: a loss whose gradients reach what the phase updates, `times` in a row.

    A training without phases is one without a name. `updates` are the modules whose running statistics the phase moves,
    by path; a `*` stands for one level. `learning_rate` names the function of the recipe; `outputs` are those that its
    loss asks for, where the model has others.
    """

    name: str
    loss: Measure
    times: int = 1
    updates: tuple[str, ...] = ()
    learning_rate: str = "learning_rate"
    outputs: tuple[str, ...] | None = None

    def function(self, what: str) -> str:
        """The name of a function of the recipe, such as `loss`, in this phase."""
        return f"{self.name}_{what}" if self.name else what

    @property
    def prefix(self) -> str:
        """What begins the names of its optimizer's state."""
        return f"{self.name}/" if self.name else ""

    def moves_statistics_of(self, name: str) -> bool:
        """Whether a buffer of the model lies in what the phase updates."""
        levels = name.split(".")
        paths = (path.split(".") for path in self.updates)
        return any(all(part in ("*", level) for part, level in zip(path, levels, strict=False)) for path in paths)


@dataclass(frozen=True)
class Length:
    """A length of training: updates, passes over the data, or a part of the whole run. One of the three is set."""

    steps: int | None = None
    epochs: float | None = None
    part: float | None = None

    def in_steps(self, per_epoch: int, total: int) -> int:
        """In updates, at least one; `per_epoch` and `total` are in updates too."""
        if self.steps is not None:
            return max(1, self.steps)
        if self.epochs is not None:
            return max(1, round(self.epochs * per_epoch))
        assert self.part is not None
        return max(1, round(self.part * total))


@dataclass(frozen=True)
class EarlyStop:
    """Stop after `patience` validations in a row in which `on` ("validation.loss") was no better than before."""

    patience: int
    on: str


@dataclass(frozen=True)
class Plateau:
    """The rate falls after more than `patience` validations in a row in which `on` was no better than before; those
    within the lengths of `after` do not count."""

    patience: int
    on: str
    after: tuple[Length, ...]


@dataclass(frozen=True)
class Stage:
    """A stage of the schedule: how long it takes, None for the rest of the run, and the places of the run it names."""

    word: str
    takes: Length | None
    points: tuple[Length, ...]


@dataclass(frozen=True)
class Sample:
    """Text generated from `prompt` once in `every`."""

    every: Length
    prompt: str


@dataclass(frozen=True)
class Settings:
    """Everything about a training run that is neither the model's code nor the recipe's."""

    name: str
    recipe: str
    model_class: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    limits: Mapping[str, int]
    least: Mapping[str, int]
    data: Mapping[str, Any]
    bind: Mapping[str, str]
    phases: tuple[Phase, ...]
    metrics: Measure | None
    set_metrics: SetMetrics | None
    steps: int | None
    epochs: float | None
    batch: int
    accumulate: int
    clip: float | None
    clip_value: float | None
    precision: Precision
    seed: int
    deterministic: bool
    validate: Length | None
    checkpoint_every: Length | None
    keep: int
    early_stop: EarlyStop | None
    plateau: Plateau | None
    sample: Sample | None
    copies: Mapping[str, str] = field(default_factory=dict)
    """The momentum copies of modules, by path, each with its module."""
    targets: tuple[Target, ...] = ()
    start: Mapping[str, Any] | None = None
    """Which weights the run begins with, where they are not drawn: `weights.open_start` reads it."""
    stages: tuple[Stage, ...] = ()
    """The stages of the schedule, where only the data says whether they fit into the run."""

    @property
    def loss(self) -> Measure:
        """The loss, or that of the first phase."""
        return self.phases[0].loss

    @property
    def losses(self) -> dict[str, Measure]:
        """All losses, by what they are called where they are measured: `loss`, or `judge_loss` of the phase `judge`."""
        return {phase.function("loss"): phase.loss for phase in self.phases}


def read_settings(data: Mapping[str, Any]) -> Settings:
    """The typed form of the compiler's JSON. Raises Refused where it is from a newer dlspec or contradicts itself."""
    schema = data.get("schema")
    if schema != SCHEMA:
        raise Refused(
            f"the settings have schema {schema}, this dlspec reads schema {SCHEMA}",
            "Use the dlspec that wrote them, or compile the spec again.",
        )
    batch, accumulate = int(data["batch"]), int(data["accumulate"])
    if batch < 1 or accumulate < 1 or batch % accumulate:
        raise Refused(
            f"a batch of {batch} cannot be computed in {accumulate} equal parts",
            "Make `batch` a multiple of `accumulate`.",
        )
    if any(data[length] is not None and data[length] <= 0 for length in ("steps", "epochs")):
        raise Refused("a run has one step at least", "Set `steps` or `epochs` to more than 0.")
    if (data["steps"] is None) == (data["epochs"] is None):
        raise Refused("a run has a number of steps or of epochs, exactly one of the two", "Set `steps` or `epochs`.")
    precision = data["precision"]
    if precision not in PRECISIONS:
        raise Refused(f"precision {precision} cannot be trained in", f"Use one of {', '.join(PRECISIONS)}.")
    model = data["model"]
    phases = _phases(data)
    return Settings(
        name=data["name"],
        recipe=data["recipe"],
        model_class=model["class"],
        inputs=tuple(read_port(port) for port in model["inputs"]),
        outputs=tuple(read_port(port) for port in model["outputs"]),
        limits=dict(model["limits"]),
        least=dict(model.get("least", {})),  # of a run made before there were any
        data=data["data"],
        bind=dict(data["bind"]),
        phases=phases,
        metrics=_metrics(data["metrics"], phases[0].loss) if data["metrics"] else None,
        set_metrics=SetMetrics(**data["set_metrics"]) if "set_metrics" in data else None,
        steps=data["steps"],
        epochs=data["epochs"],
        batch=batch,
        accumulate=accumulate,
        clip=data["clip"],
        clip_value=data["clip_value"],
        precision=precision,
        seed=data["seed"],
        deterministic=data["deterministic"],
        validate=_length(data["validate"]),
        checkpoint_every=_length(data["checkpoint"]["every"]),
        keep=data["checkpoint"]["keep"],
        early_stop=EarlyStop(**data["early_stop"]) if data["early_stop"] else None,
        plateau=_plateau(data.get("plateau")),
        sample=_sample(data["sample"]),
        copies=dict(model.get("copies", {})),
        targets=tuple(Target(**target) for target in data.get("targets", ())),
        start=data.get("start"),
        stages=tuple(map(_stage, data.get("stages", ()))),
    )


def read_port(port: Mapping[str, Any]) -> Port:
    """An input or output, as the compiler describes it."""
    return Port(port["name"], port["dtype"], tuple(port["dims"]), port.get("rows"))


def _measure(measure: Mapping[str, Any]) -> Measure:
    classes = measure.get("classes")
    return Measure(
        arguments=dict(measure["arguments"]),
        ignore=measure.get("ignore"),
        classes=Classes(classes["output"], classes["width"], classes["field"]) if classes else None,
        names=tuple(measure.get("names", ())),
        after=dict(measure.get("after", {})),
        alike=tuple((pair["output"], pair["field"]) for pair in measure.get("alike", ())),
        own_dtype=tuple(measure.get("own_dtype", ())),
        in_model=dict(measure.get("in_model", {})),
        per_example=measure.get("per_example", False),
        targets=measure.get("targets"),
        class_weights=tuple(measure.get("class_weights", ())),
        mixed=measure.get("mixed", False),
        counts={name: _counted(over) for name, over in measure.get("counts", {}).items()},
        hits={name: Hits(**over) for name, over in measure.get("hits", {}).items()},
    )


def _counted(over: Mapping[str, Any] | None) -> Measure:
    return Measure({}, per_example=True) if over is None else Measure({}, **over)


def _phases(data: Mapping[str, Any]) -> tuple[Phase, ...]:
    """Those there are, or the one without a name."""
    if "phases" not in data:
        return (Phase("", _measure(data["loss"])),)
    return tuple(
        Phase(
            name=one["name"],
            loss=_measure(one["loss"]),
            times=one["times"],
            updates=tuple(one["updates"]),
            learning_rate=one["learning_rate"],
            outputs=None if len(one["outputs"]) == len(data["model"]["outputs"]) else tuple(one["outputs"]),
        )
        for one in data["phases"]
    )


def _metrics(measure: Mapping[str, Any], loss: Measure) -> Measure:
    """Metrics that look at the targets of the loss count the same entries as it does."""
    metrics = _measure(measure)
    shared = loss.classes is not None and f"data.{loss.classes.field}" in metrics.arguments.values()
    return replace(metrics, classes=loss.classes) if shared and metrics.classes is None else metrics


def _length(length: Mapping[str, Any] | None) -> Length | None:
    return Length(**length) if length else None


def _stage(stage: Mapping[str, Any]) -> Stage:
    points = tuple(Length(**point) for point in stage["points"])
    return Stage(stage["word"], Length(**stage["takes"]) if stage["takes"] else None, points)


def _plateau(plateau: Mapping[str, Any] | None) -> Plateau | None:
    return Plateau(**{**plateau, "after": tuple(Length(**one) for one in plateau["after"])}) if plateau else None


def _sample(sample: Mapping[str, Any] | None) -> Sample | None:
    return Sample(Length(**sample["every"]), sample["prompt"]) if sample else None
