"""Two `train` or `export` sections, value by value; what this version only notes is compared as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from ...grammar import tree
from ...grammar.source import Span
from ..options import OptionSet
from ..semantics.evaluate import Recipe, is_number
from ..training.exports import ExportPlan
from ..training.lengths import Length
from ..training.measure import Value as Measurable
from ..training.metric_list import Measured
from ..training.modules import ModuleName
from ..training.objective import LossTerm
from ..training.plan import TrainPlan
from ..training.renaming import Renamed
from ..training.schedule import Schedule
from ..training.tokenizers import Tokenizer
from .change import Change, Section, turned
from .values import as_written, meaning, parts, shown

LENGTH = ("steps", "epochs")
ELSEWHERE = ("model", "recipe", "data", "bind", "dims", "phases", "run")
"""What is compared in another way, or follows from the model and the data."""
WHOLE = (
    Length,
    Measurable,
    Recipe,
    LossTerm,
    Measured,
    ModuleName,
    Renamed,
    Schedule,
    Tokenizer,
    Mapping,
    tree.Node,
)
"""What is told in one piece, being one thing to its reader."""


def compare_recipes(
    owner: str, a: TrainPlan, b: TrainPlan, sections: tuple[tree.Train, tree.Train]
) -> Iterator[Change]:
    """Differences of two recipes of one name: by what they mean where both can be run, else as they are written."""
    lines = tuple(
        {line.name.text: line.value for line in s.body.lines if isinstance(line, tree.Binding)} for s in sections
    )
    read = set(LENGTH)
    if a.runs and b.runs:
        read |= {field.name for field in fields(a)}
        yield from _values("train", owner, "data", a.data.source.options, b.data.source.options)
        yield from _behind_the_source(owner, *(side.get("data") for side in lines))
        for name, before in parts(a):
            if name not in ELSEWHERE:
                yield from _values("train", owner, name, before, getattr(b, name))
    yield from _values("train", owner, "length", a.run, b.run)
    for key in sorted({*lines[0], *lines[1]} - read):
        before, after = (_written(key, side.get(key), plan) for side, plan in zip(lines, (a, b), strict=True))
        if before != after:
            yield turned("train", owner, key, "value", before, after)
    phases = [[_collapsed(line) for line in s.body.lines if isinstance(line, tree.Phase)] for s in sections]
    if phases[0] != phases[1]:
        yield Change("train", owner, "phases", "value", None, None, "other phases")


def compare_exports(
    owner: str, a: ExportPlan | None, b: ExportPlan | None, sections: tuple[tree.Export, tree.Export]
) -> Iterator[Change]:
    """Files that are written of a model, by their place in the section."""
    before, after = ([_collapsed(line) for line in section.body.lines] for section in sections)
    if a is not None and b is not None and meaning(a.files) != meaning(b.files):
        yield from _values("export", owner, "files", a.files, b.files)
    elif before != after and (a is None or b is None or len(before) != len(a.files) or len(after) != len(b.files)):
        yield turned("export", owner, "files", "value", ", ".join(before), ", ".join(after))


def _behind_the_source(owner: str, before: tree.Flow | None, after: tree.Flow | None) -> Iterator[Change]:
    """What follows the source of data: augmentations."""
    one, other = (
        " -> ".join(map(_collapsed, flow.stages[1:])) if isinstance(flow, tree.Then) else "none"
        for flow in (before, after)
    )
    if one != other:
        yield turned("train", owner, "augmentations", "value", one, other)


def _values(section: Section, owner: str, place: str, a: object, b: object) -> Iterator[Change]:
    """Where two values differ, as far inside as both are of one kind."""
    if meaning(a) == meaning(b):
        return
    if type(a) is type(b) and not _is_whole(a):
        if isinstance(a, OptionSet) or is_dataclass(a):
            for name, before in parts(a):
                yield from _values(section, owner, f"{place}.{name}", before, getattr(b, name))
            return
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) and not _is_plain(a):
            for i, (before, after) in enumerate(zip(a, b, strict=True)):
                yield from _values(section, owner, f"{place}.{_name(before, i)}", before, after)
            return
    follows = as_written(a) == as_written(b)
    yield turned(section, owner, place, "value", _side(a), _side(b), follows)


def _is_whole(value: object) -> bool:
    return is_number(value) or isinstance(value, WHOLE)


def _is_plain(values: tuple[object, ...]) -> bool:
    return all(is_number(value) or isinstance(value, str | bool) for value in values)


def _name(value: object, index: int) -> str:
    return getattr(value, "word", None) or str(index)


def _side(value: object) -> str:
    """A value as a spec would have it."""
    if isinstance(value, LossTerm | Measured):
        measure = value.loss if isinstance(value, LossTerm) else value.metric
        inputs = ", ".join(inner.shown for inner in _inputs(value))
        options = shown(measure).removeprefix(measure.word).strip("()")
        return f"{measure.word}({', '.join(filter(None, (inputs, options)))})"
    if isinstance(value, Schedule):
        return " -> ".join(map(shown, value.stages)) or "none"
    match value:
        case ():
            return "none"
        case (name, Span()):
            return _side(name)
        case tuple():
            return f"[{', '.join(map(_side, value))}]"
    return f"{value} steps" if isinstance(value, Length) and value.unit == "steps" else shown(value)


def _inputs(value: object) -> Iterator[Measurable]:
    """The inputs of a loss or metric, in their order."""
    for _, inner in parts(value):
        yield from (one for one in (inner if isinstance(inner, tuple) else (inner,)) if isinstance(one, Measurable))


def _written(key: str, flow: tree.Flow | None, plan: TrainPlan) -> str:
    """What a key is given, or what it is where it is left out."""
    return _collapsed(flow) if flow is not None else _side(getattr(plan, key, None))


def _collapsed(node: tree.Node) -> str:
    return " ".join(node.span.text.split())
