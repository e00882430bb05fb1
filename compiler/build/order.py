"""Numbers in the order of other tools: `Conv2d(3, 16, 3)` has the channels that come in first, which are known here.

Such a call is right by its kinds of values alone, and makes another network than was meant.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..layers.base import Layer
from ..semantics.evaluate import Scope, evaluate, is_number
from ..semantics.language import OPTION_SPELLINGS
from ..semantics.number import equal
from ..semantics.report import Report, Unheard
from ..semantics.tensor import Tensor, Type

_CONVOLUTIONS = frozenset(f"Conv{kind}{axes}d" for kind in ("", "Transpose") for axes in (1, 2, 3))
_RECURRENT = frozenset({"RNN", "LSTM", "GRU"})
_WIDTH_FIRST = _CONVOLUTIONS | _RECURRENT | {"Linear"}
CHANNELS = "the channels that come out; those that come in are known"
WIDTH = "the width that comes out; the one that comes in is known"
# A kernel and a stride, and a number of layers, as hardly anybody means them who keeps the width that comes in.
_LARGE_KERNEL, _LARGE_STRIDE, _MANY_LAYERS = 8, 3, 12


def seems_in_other_order(word: str, options: Sequence[str], stage: tree.Stage) -> bool:
    """Whether an option is given by its place and by its name, and once where the first number is left out."""
    args, source = stage.args or (), stage.span.source
    placed = [arg for arg in args if not isinstance(arg, tree.Keyword)]
    named = {arg.name.text for arg in args if isinstance(arg, tree.Keyword) and arg.span.source is source}
    if word not in _WIDTH_FIRST or len(args) < 2 or not placed or placed[0] is not args[0]:
        return False
    return not named.isdisjoint(options[: len(placed)]) and named.isdisjoint(options[: len(placed) - 1])


def less_first(stage: tree.Stage) -> str:
    """The call without its first argument."""
    return f"{stage.path}({', '.join(arg.span.text for arg in (stage.args or ())[1:])})"


def without_what_comes_in(kind: type[Layer], stage: tree.Stage, x: Type, scope: Scope, report: Report) -> tree.Stage:
    """The call less the width that comes in, where its names say that it is PyTorch's (reported), else as it stands.

    In `Conv2d(3, 8, 3, stride = 2)` on 3 channels the stride seems to be given twice, and `padding` in
    `Conv2d(3, 8, 3, padding = 1)` is PyTorch's name.
    """
    if not isinstance(x, Tensor) or x.rank < 2 or kind.word not in _WIDTH_FIRST or not stage.args:
        return stage
    call = _in_our_names(kind, stage)
    options, args = list(kind.options), list(call.args or ())
    if isinstance(args[0], tree.Keyword):
        return stage
    told = _unusual(kind.word, call, x) if call is not stage else None
    if told is None and not seems_in_other_order(kind.word, options, call):
        return stage
    first, convolves = evaluate(args[0], scope, Unheard()), kind.word in _CONVOLUTIONS
    if not is_number(first) or not equal(first, x.dims[1 if convolves else -1]):
        return stage
    rest = tree.Stage(call.path, tuple(args[1:]), call.body, span=call.span)
    better = _arguments(rest)
    source, start = stage.span.source, args[0].span.start
    fix = Fix(Span(source, start, args[1].span.start), "")
    if call is not stage:
        fix = Fix(Span(source, start, args[-1].span.end), better)
    report.error(
        "wrong-value",
        f"`{kind.word}` is told {CHANNELS if convolves else WIDTH}",
        stage.span,
        f"`{args[0].span.text}` is what comes in",
        help=f"write `{stage.path}({better})`",
        fixes=(fix,),
    )
    return rest


def _in_our_names(kind: type[Layer], stage: tree.Stage) -> tree.Stage:
    """The call with PyTorch's names of options as they are here; the call itself where it has none."""
    args: list[tree.Flow | tree.Keyword] = []
    renamed = False
    for arg in stage.args or ():
        ours = OPTION_SPELLINGS.get(arg.name.text, "") if isinstance(arg, tree.Keyword) else ""
        if isinstance(arg, tree.Keyword) and ours in kind.options and arg.name.text not in kind.options:
            arg = tree.Keyword(tree.Name(ours, span=arg.name.span), arg.value, span=arg.span)
            renamed = True
        args.append(arg)
    return tree.Stage(stage.path, tuple(args), stage.body, span=stage.span) if renamed else stage


def _arguments(stage: tree.Stage) -> str:
    return ", ".join(
        f"{arg.name} = {arg.value.span.text}" if isinstance(arg, tree.Keyword) else arg.span.text
        for arg in stage.args or ()
    )


def _unusual(word: str, stage: tree.Stage, x: Tensor) -> tuple[str, str] | None:
    """What a call that may begin with the width that comes in would make as it stands, where hardly anybody means
    that, and the number that decides it by its name."""
    args = list(stage.args or ())
    numbers = [arg.value for arg in args[1:] if isinstance(arg, tree.Number)]
    placed = [arg for arg in args if not isinstance(arg, tree.Keyword)]
    if len(numbers) != len(placed) - 1:
        return None
    if word in _CONVOLUTIONS and x.rank > 2 and len(placed) > 2:
        kernel, stride = numbers[:2]
        if kernel > stride and (kernel >= _LARGE_KERNEL or stride >= _LARGE_STRIDE):
            told = f"{placed[0].span.text} features, a kernel of {kernel} and a stride of {stride}"
            return told, f"stride = {stride}"
    if word in _RECURRENT and len(placed) > 1 and numbers[0] > _MANY_LAYERS:
        return f"{placed[0].span.text} hidden units in {numbers[0]} layers", f"layers = {numbers[0]}"
    return None


def in_other_order(layer: Layer, stage: tree.Stage, x: Tensor, report: Report) -> bool:
    """Whether a call begins with the width that comes in, as PyTorch's does (reported)."""
    unusual = _unusual(layer.word, stage, x)
    if unusual is None:
        return False
    told, by_name = unusual
    convolves = layer.word in _CONVOLUTIONS
    first, comes_in = ("features", x.dims[1]) if convolves else ("hidden", x.dims[-1])
    if not equal(getattr(layer, first), comes_in):
        return False
    args = list(stage.args or ())
    drop = Span(stage.span.source, args[0].span.start, args[1].span.start)
    report.error(
        "wrong-value",
        f"`{layer.word}` is told {CHANNELS if convolves else WIDTH}",
        stage.span,
        f"this would be {told}",
        help=f"write `{less_first(stage)}`; if it is meant as it stands, say `{by_name}`",
        fixes=(Fix(drop, ""),),
    )
    return True
