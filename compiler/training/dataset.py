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
from .augmentation import Augmentation, Fields, Unfit, fields_after, read_augmentations
from .calls import Chosen, choose, read_call, resolved
from .language import SOURCES
from .source import DataSource


class Data(Frozen):
    """`fields` is None where they are known only when the data is read; `places` says where those that an augmentation
    has changed were changed last.

    `settled` is False where an augmentation was not understood: then fields may have other shapes, and there may be
    others.
    """

    source: Chosen[DataSource]
    augmentations: tuple[Chosen[Augmentation], ...]
    fields: Fields | None
    places: Mapping[str, Span]
    settled: bool = True

    def place(self, name: str, axis: int) -> Span:
        """Where a dim of a field comes from."""
        option = None if self.fields is None else self.fields[name].option
        if option == "size" and axis == 0:
            option = None  # the channels of a picture
        return self.places.get(name) or self.source.place(option)

    def settings(self) -> dict[str, Any]:
        """The section about the data, as plain JSON values."""
        source = {"source": self.source.options.word, "options": self.source.options.settings()}
        stages = [augmentation.as_json() for augmentation in self.augmentations]
        return source | ({"augmentations": stages} if stages else {})


def read_data(flow: tree.Flow, scope: Scope, report: Report) -> Data | None:
    """The data that is written, or None (reported)."""
    flow, scope = resolved(flow, scope)
    stages = flow.stages if isinstance(flow, tree.Then) else (flow,)
    chosen = choose(stages[0], "data", "data", DataSource, SOURCES, scope, report)
    source = None if chosen is None else read_call(*chosen, report)
    augmentations = read_augmentations(stages[1:], scope, report)
    if source is None:
        return None
    fields = source.options.fields()
    places: dict[str, Span] = {}
    for augmentation in augmentations or ():
        if fields is None:
            break
        try:
            after = fields_after(augmentation, fields)
        except Unfit as unfit:
            place, labels = unfit.span or augmentation.span, ((source.span, "the data"),)
            report.error(unfit.code, unfit.message, place, unfit.label, help=unfit.help, labels=labels)
            return _unsettled(source, fields)
        places |= {name: augmentation.span for name in after if after[name] is not fields.get(name)}
        fields = after
    return _unsettled(source, fields) if augmentations is None else Data(source, augmentations, fields, places)


def _unsettled(source: Chosen[DataSource], fields: Fields | None) -> Data:
    """The source with what is left of its fields: how many classes they tell apart."""
    if fields is not None:
        fields = {name: known if known.dims == () else replace(known, dims=None) for name, known in fields.items()}
    return Data(source, (), fields, {}, settled=False)
