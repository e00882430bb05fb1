"""digits: 1797 handwritten digits, 8 x 8 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...semantics.number import number
from ..source import DataSource, Field, keeps_some, split_settings
from ..values import Split


class Digits(DataSource):
    """`digits`: the 1797 handwritten digits that scikit-learn carries (Alpaydin and Kaynak 1998).

    Fields: `image`, [1, 8, 8] from 0 to 1, and `label`, 0 to 9. `split` is [0.8, 0.2] where it is left out; which
    pictures are kept for validation is the same for every seed.
    """

    word: ClassVar[str] = "digits"
    example: ClassVar[str] = "digits"

    split: Split = None

    def fields(self) -> Mapping[str, Field]:
        image = (number(1), number(8), number(8))
        return {"image": Field("float", image), "label": Field("int", (), number(10))}

    def settings(self) -> dict[str, Any]:
        return split_settings(self.split)

    def validates(self) -> bool:
        return keeps_some(self.split)
