"""Numbers in the order of other tools: `Conv2d(3, 16, 3)` has the channels that come in first, which are known here.

Such a call is right by its kinds of values alone, and makes another network than was meant.
"""

from __future__ import annotations

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..layers.base import Layer
from ..semantics.number import equal
from ..semantics.report import Report
from ..semantics.tensor import Tensor

_CONVOLUTIONS = frozenset(f"Conv{kind}{axes}d" for kind in ("", "Transpose") for axes in (1, 2, 3))
_RECURRENT = frozenset({"RNN", "LSTM", "GRU"})
# A kernel and a stride, and a number of layers, as hardly anybody means them who keeps the width that comes in.
_LARGE_KERNEL, _LARGE_STRIDE, _MANY_LAYERS = 8, 3, 12


def in_other_order(layer: Layer, stage: tree.Stage, x: Tensor, report: Report) -> bool:
    """Whether a call begins with the width that comes in, as PyTorch's does (reported)."""
    args = list(stage.args or ())
    numbers = [arg.value for arg in args[1:] if isinstance(arg, tree.Number)]
    placed = [arg for arg in args if not isinstance(arg, tree.Keyword)]
    if layer.word in _CONVOLUTIONS and x.rank > 2 and len(placed) > 2 and len(numbers) == len(placed) - 1:
        kernel, stride = numbers[:2]
        unusual = kernel > stride and (kernel >= _LARGE_KERNEL or stride >= _LARGE_STRIDE)
        told = f"{placed[0].span.text} features, a kernel of {kernel} and a stride of {stride}"
        message = f"`{layer.word}` is told the channels that come out; those that come in are known"
        comes_in, first, by_name = x.dims[1], "features", f"stride = {stride}"
    elif layer.word in _RECURRENT and len(placed) > 1 and len(numbers) == len(placed) - 1:
        unusual = numbers[0] > _MANY_LAYERS
        told = f"{placed[0].span.text} hidden units in {numbers[0]} layers"
        message = f"`{layer.word}` is told the width that comes out; the one that comes in is known"
        comes_in, first, by_name = x.dims[-1], "hidden", f"layers = {numbers[0]}"
    else:
        return False
    if not unusual or not equal(getattr(layer, first), comes_in):
        return False
    better = f"{stage.path}({', '.join(arg.span.text for arg in args[1:])})"
    drop = Span(stage.span.source, args[0].span.start, args[1].span.start)
    report.error(
        "wrong-value",
        message,
        stage.span,
        f"this would be {told}",
        help=f"write `{better}`; if it is meant as it stands, say `{by_name}`",
        fixes=(Fix(drop, ""),),
    )
    return True
