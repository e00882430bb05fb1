"""two_views: each picture twice, changed in two ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

from ....grammar import tree
from ...options import Kind
from ...semantics.evaluate import FAULT, Scope
from ...semantics.report import Report
from ..augmentation import Augmentation, Faulty, Fields, Unfit, fields_after, pictures, read_augmentations
from ..base import ReadBy
from ..calls import Chosen, resolved


def _read_flow(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    flow, scope = resolved(flow, scope)
    own = Report()
    read = read_augmentations(flow.stages if isinstance(flow, tree.Then) else (flow,), scope, own)
    for diagnostic in own.diagnostics:
        if diagnostic.severity == "error":  # what this version cannot do is noted of `two_views`
            report.add(diagnostic)
    return FAULT if any(isinstance(stage, Faulty) for stage in read) else read


class TwoViews(Augmentation):
    """`two_views(random_resized_crop(32) -> random_flip)`: the flow run twice on each picture, drawing anew.

    `image` is gone; in its place there are `view1` and `view2`. What stands behind it changes both. In evaluation,
    where nothing is drawn, they are alike.
    """

    word: ClassVar[str] = "two_views"
    example: ClassVar[str] = "two_views(random_resized_crop(8) -> random_flip)"

    flow: Annotated[Any, Kind(lambda value: value), ReadBy(_read_flow)]

    @property
    def inside(self) -> tuple[Chosen[Augmentation], ...]:
        return self.flow

    def after(self, fields: Fields) -> Fields:
        if "image" not in pictures(self.word, fields):
            raise Unfit("unfit-augmentation", "there are two views already", "two views of what?", "take it out")
        seen = {"image": fields["image"]}
        for chosen in self.flow:
            if chosen.options.mixes:
                raise _mixed(chosen)
            seen = fields_after(chosen, seen)
        if "image" not in seen:
            raise Unfit("unfit-augmentation", "views of views are not made", "one too many", "take one out", "flow")
        return _twice({**fields, **seen})

    @classmethod
    def roughly(cls, fields: Fields) -> Fields:
        return _twice(super().roughly(fields))


def _mixed(chosen: Chosen[Augmentation]) -> Unfit:
    word = chosen.options.word
    message, help = f"`{word}` mixes labels too, and a view has none of its own", f"write `two_views(..) -> {word}`"
    unfit = Unfit("unfit-augmentation", message, "no label to mix", help)
    unfit.span = chosen.span
    return unfit


def _twice(fields: Fields) -> Fields:
    views = {}
    for name, known in fields.items():
        made = {view: replace(known, option=None) for view in ("view1", "view2")} if name == "image" else {name: known}
        views.update(made)
    return views
