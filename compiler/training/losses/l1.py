"""l1: the sizes of weights, so that few of them are large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from ....grammar import tree
from ...options import Kind
from ...semantics.evaluate import FAULT, Scope
from ...semantics.report import Report
from ..base import ReadBy
from ..measure import Loss, Value
from ..modules import read_modules


def _read_weights(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    match flow:
        case tree.Stage(path=tree.Path(parts=("weights",)), args=None, body=None):
            return ()
    modules = read_modules(flow, name, report)
    return FAULT if modules is None else modules


class L1(Loss):
    """`1e-5 * l1(weights)`: the sum of the absolute values of all weights, to be added to a loss (Tibshirani 1996).

    `l1(head)`, `l1([stem, head])`, `l1("blocks.*.mlp")` are those of these modules.
    """

    word: ClassVar[str] = "l1"
    example: ClassVar[str] = "l1(weights)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ()

    weights: Annotated[Any, Kind(lambda value: value), ReadBy(_read_weights, frozenset({"weights"}))]

    def check(self, values: Sequence[Value]) -> None:
        pass
