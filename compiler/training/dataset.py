"""The `data` of a recipe: a source, a flow of augmentations behind it, and the fields that come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.evaluate import Scope
from ..semantics.report import Report
from .augmentation import (
    MADE,
    PICTURES,
    Augmentation,
    Faulty,
    Fields,
    Unfit,
    check_order,
    check_units,
    fields_after,
    read_augmentations,
)
from .calls import Chosen, choose, read_call, read_in_part, resolved
from .language import SOURCES
from .source import DataSource


class Data(Frozen):
    """`fields` is None where they are known only when the data is read; `places` says where those that an augmentation
    has changed were changed last.

    Where something is wrong with the data, fields are as they would be without it, with dims of None where that is not
    known, and `perhaps` has the names of those that there may be besides.
    """

    source: Chosen[DataSource]
    augmentations: tuple[Chosen[Augmentation], ...]
    fields: Fields | None
    places: Mapping[str, Span]
    perhaps: frozenset[str] = frozenset()

    def place(self, name: str, axis: int) -> Span:
        """Where a dim of a field comes from."""
        option = None if self.fields is None else self.fields[name].option
        if option == "size" and axis == 0:
            option = None  # the channels of a picture
        return self.places.get(name) or self.source.place(option)

    @property
    def mixing(self) -> Chosen[Augmentation] | None:
        """The augmentation by which labels become probabilities of the classes, where there is one."""
        return next((augmentation for augmentation in self.augmentations if augmentation.options.mixes), None)

    def mixes(self, source: str) -> bool:
        """Whether a value of the data, by its name in settings, is probabilities of classes and no class."""
        return source == "data.label" and self.mixing is not None

    def settings(self) -> dict[str, Any]:
        """The section about the data, as plain JSON values."""
        source = {"source": self.source.options.word, "options": self.source.options.settings()}
        stages = [augmentation.as_json() for augmentation in self.augmentations]
        return source | ({"augmentations": stages} if stages else {})


def read_data(flow: tree.Flow, scope: Scope, report: Report) -> Data | None:
    """The data that is written, or None where the source is none; what is wrong is reported."""
    flow, scope = resolved(flow, scope)
    stages = flow.stages if isinstance(flow, tree.Then) else (flow,)
    source, fields, rough = _read_source(stages[0], scope, report)
    augmentations = read_augmentations(stages[1:], scope, report)
    check_order(augmentations, report)
    if source is None:
        return None
    if fields is not None and "image" in fields:
        check_units(augmentations, source.span, report)
    places: dict[str, Span] = {}
    perhaps: frozenset[str] = frozenset()
    done: list[Chosen[Augmentation]] = []
    for augmentation in augmentations:
        if fields is None:
            done += [] if isinstance(augmentation, Faulty) else [augmentation]  # held against the data when it is read
            continue
        if isinstance(augmentation, Faulty) or rough:
            kind = augmentation.kind if isinstance(augmentation, Faulty) else type(augmentation.options)
            fields, rough = (kind or Augmentation).roughly(fields), True
            if kind is None:
                perhaps = frozenset(MADE)
            continue
        try:
            after = fields_after(augmentation, fields)
        except Unfit as unfit:
            place, labels = unfit.span or augmentation.span, ((source.span, "the data"),)
            report.error(unfit.code, unfit.message, place, unfit.label, help=unfit.help, labels=labels)
            if any(name in fields for name in PICTURES):
                fields, rough = augmentation.options.roughly(fields), True
            continue
        places |= {name: augmentation.span for name in after if after[name] is not fields.get(name)}
        fields = after
        done.append(augmentation)
    return Data(source, tuple(done), fields, places, perhaps)


def _read_source(
    flow: tree.Flow, scope: Scope, report: Report
) -> tuple[Chosen[DataSource] | None, Fields | None, bool]:
    """The source, its fields, and whether only their names are known: what a fault (reported) says nothing about is
    as it is without it."""
    own = Report()
    chosen = choose(flow, "data", "data", DataSource, SOURCES, scope, own)
    source = None if chosen is None else read_call(*chosen, own)
    for diagnostic in own.diagnostics:
        report.add(diagnostic)
    if chosen is None:
        return None, None, True
    if source is not None:
        return source, source.options.fields(), False
    kind, stage, where = chosen
    source, unsure = read_in_part(kind, stage, where, own.diagnostics)
    if source is None or unsure & kind.naming:
        return source, None, True
    fields = source.options.fields()
    if fields is None or unsure <= kind.beside:
        return source, fields, False
    return source, {name: replace(known, dims=None, classes=None) for name, known in fields.items()}, True
