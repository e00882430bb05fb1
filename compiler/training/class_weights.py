"""What each class counts, in emitted code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .spelling import real_text

if TYPE_CHECKING:
    from ..semantics.number import Number
    from .measure import Operand, Statements


def class_weights(weight: Sequence[Number], said: Operand, before: Statements, dtype: str = "") -> str:
    """The name of the weights of the classes, [classes], as a tensor beside `said`: made once for each device. In its
    dtype, where none is given."""
    listed = ", ".join(map(real_text, weight))
    function = before.define(
        "class_weights",
        [
            "@cache",
            "def class_weights(device: torch.device, dtype: torch.dtype) -> Tensor:",
            f'    """What each of the {len(weight)} classes counts."""',
            f"    return torch.tensor([{listed}], dtype=dtype, device=device)",
        ],
    )
    return before.assign("weight", f"{function}({said.text}.device, {dtype or f'{said.text}.dtype'})")


def weights_of_labels(weights: str, label: str, before: Statements) -> str:
    """The name of what the class of each label counts, by the name of the weights: 0 where the label is -100."""
    return before.assign("weights", f"{weights}[{label}.clamp(min=0)] * ({label} != -100)")
