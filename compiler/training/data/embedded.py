"""What the small tables that scikit-learn carries have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...semantics.number import number
from ..source import DataSource, Field, keeps_some, split_settings
from ..values import Split


class Embedded(DataSource):
    """A table of measurements with a class, or a number, for each row; nothing is downloaded."""

    measurements: ClassVar[int]
    classes: ClassVar[int | None] = None
    """How many there are; None where the target is a number."""

    split: Split = None

    def fields(self) -> Mapping[str, Field]:
        features = Field("float", (number(self.measurements),))
        if self.classes is None:
            return {"features": features, "target": Field("float", (number(1),))}
        return {"features": features, "label": Field("int", (), number(self.classes))}

    def settings(self) -> dict[str, Any]:
        return split_settings(self.split)

    def validates(self) -> bool:
        return keeps_some(self.split)
