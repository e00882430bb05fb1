"""two_views: each picture twice, changed in two ways."""

from __future__ import annotations

from collections.abc import Callable

from ..augmentation import IMAGE, Augmentation, Batch, Fields, pictures
from ..chance import Draws
from ..faults import DataError
from ..flow import Flow

VIEWS = ("view1", "view2")


class TwoViews(Augmentation):
    """`view1` and `view2` in the place of `image`, each from a run of the flow that draws for itself."""

    word = "two_views"

    def __init__(self, fields: Fields, make_flow: Callable[[Fields], Flow]) -> None:
        """`make_flow` makes the flow for the field `image` alone."""
        if IMAGE not in pictures(self.word, fields):
            raise DataError("there are two views already", "take `two_views` out")
        self._flow = make_flow({IMAGE: fields[IMAGE]})
        seen = self._flow.fields.get(IMAGE)
        if seen is None:
            raise DataError("views of views are not made", "take one `two_views` out")
        self.fields = {}
        for name, field in fields.items():
            self.fields |= dict.fromkeys(VIEWS, seen) if name == IMAGE else {name: field}

    def apply(self, batch: Batch, draws: Draws) -> Batch:
        seen: Batch = {}
        for name, value in batch.items():
            if name == IMAGE:
                seen |= {view: self._flow.apply({IMAGE: value}, draws.of(view))[IMAGE] for view in VIEWS}
            else:
                seen[name] = value
        return seen
