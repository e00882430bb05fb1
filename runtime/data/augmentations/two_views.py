"""two_views: each picture twice, changed in two ways."""

from __future__ import annotations

from dataclasses import replace

from ..augmentation import IMAGE, Augmentation, Batch, Fields, pictures
from ..chance import Draws
from ..dataset import DataError
from ..flow import Flow

VIEWS = ("view1", "view2")


class TwoViews(Augmentation):
    """`view1` and `view2` in the place of `image`, each from a run of the flow that draws for itself."""

    word = "two_views"

    def __init__(self, fields: Fields, flow: Flow) -> None:
        if IMAGE not in pictures(self.word, fields):
            raise DataError("there are two views already", "take `two_views` out")
        self._flow = flow
        self.fields = {}
        for name, field in fields.items():
            changed = flow.fields[IMAGE] if name == IMAGE else field
            self.fields |= {view: replace(changed) for view in VIEWS} if name == IMAGE else {name: changed}

    def apply(self, batch: Batch, draws: Draws) -> Batch:
        seen: Batch = {}
        for name, value in batch.items():
            if name == IMAGE:
                seen |= {view: self._flow.apply({IMAGE: value}, draws.of(view))[IMAGE] for view in VIEWS}
            else:
                seen[name] = value
        return seen
