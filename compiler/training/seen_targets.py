"""An output that is to say the next token does not see it: attention over what comes later makes a loss worthless."""

from __future__ import annotations

from collections.abc import Sequence

from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..ir.graph import (
    Apply,
    Call,
    Checkpoint,
    Graph,
    Loop,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCopies,
    RunExperts,
    Unit,
    Value,
)
from ..ir.units import inside
from ..layers.attend import Attend
from ..layers.attention import Attention
from ..layers.base import Layer
from ..layers.cross_attention import CrossAttention
from ..layers.recurrent import Recurrent
from ..layers.self_attention import SelfAttention
from ..semantics.number import Number, equal
from ..semantics.report import Report
from ..semantics.tensor import Tensor
from .measure import Value as Compared
from .plan import TrainPlan

# The layers through which an entry sees later ones; None of a value that does not hold the tokens place by place, or
# of which that is not certain.
_Seen = frozenset[tuple[Span, Layer]] | None


def check_unseen(plan: TrainPlan, graph: Graph, report: Report) -> None:
    """Warns of each layer by which an output sees the very token that the loss asks of it, where that is certain."""
    for output, asked, read in _asked(plan):
        tokens = next((value for value in graph.model.inputs if value.name in _bound_to(read, plan)), None)
        if tokens is None or not isinstance(tokens.type, Tensor) or tokens.type.rank != 2:
            continue
        outputs = _Walk(tokens.type.dims).through(graph.model, [_start(value, tokens) for value in graph.model.inputs])
        for span, layer in outputs[graph.outputs.index(output)] or ():
            _report(span, layer, output, asked, report)


def _asked(plan: TrainPlan) -> list[tuple[str, Compared, str]]:
    """Each output that is held against the next tokens, these, and the field that they follow."""
    following, changed = plan.data.source.options.following, plan.data.places
    return [
        (term.said.name, term.true, following[term.true.name])
        for term in plan.terms
        if len(term.values) > 1 and term.said.origin == "output" and term.true.origin == "data"
        if term.true.name in following and changed.keys().isdisjoint((term.true.name, following[term.true.name]))
    ]


def _bound_to(field: str, plan: TrainPlan) -> list[str]:
    return [name for name, bound in plan.bind.items() if bound == field]


def _start(value: Value, tokens: Value) -> _Seen:
    return frozenset() if value is tokens else None


class _Walk:
    """From the inputs of a unit to its outputs. `dims` are [B, T] of the tokens: what is no longer one entry for each
    of these is not followed."""

    def __init__(self, dims: Sequence[Number]) -> None:
        self.dims = dims
        self.known: dict[tuple[Unit, tuple[_Seen, ...]], list[_Seen]] = {}

    def through(self, unit: Unit, inputs: Sequence[_Seen]) -> list[_Seen]:
        key = unit, tuple(inputs)
        if key not in self.known:
            seen = dict(zip(unit.inputs, inputs, strict=False))
            self.nodes(unit.nodes, unit, seen)
            self.known[key] = [seen.get(value) for value in unit.outputs]
        return self.known[key]

    def nodes(self, nodes: Sequence[Node], unit: Unit, seen: dict[Value, _Seen]) -> None:
        for node in nodes:
            for value, found in zip(node.outputs, self.node(node, unit, seen), strict=False):
                seen[value] = found if self.fits(value) else None

    def fits(self, value: Value) -> bool:
        known = value.type
        return isinstance(known, Tensor) and known.rank >= 2 and all(map(equal, known.dims, self.dims))

    def node(self, node: Node, unit: Unit, seen: dict[Value, _Seen]) -> Sequence[_Seen]:
        inputs = [seen.get(value) for value in node.inputs]
        match node.op:
            case Apply(layer=layer):
                entering = node.inputs[0].type if node.inputs else None
                if isinstance(entering, Tensor) and layer.keeps_places(entering):
                    return inputs[:1] * len(node.outputs)
                return [_after(layer, node.span, inputs)]
            case Pointwise() | Call():
                return [_together(inputs)]
            case RunExperts():
                return inputs[:1]
            case Run() if node.module is not None:
                units = node.op.units or inside(unit.module(node.module))
                return self.through(units[0], inputs) if units else []
            case RunCopies() if node.module is not None:
                for copy in node.op.units or inside(unit.module(node.module)):
                    inputs[:1] = self.through(copy, inputs)[:1]
                return inputs[:1]
            case Residual() as op:
                skipped = inputs[0] if op.skip is None else self.region(op.skip, inputs[0], unit, seen)
                added = _together([skipped, self.region(op.branch, inputs[0], unit, seen)])
                return [added if op.after is None else self.region(op.after, added, unit, seen)]
            case Loop(body=body) | Checkpoint(body=body):
                return [self.region(body, inputs[0], unit, seen)]
        return []

    def region(self, region: Region, entering: _Seen, unit: Unit, seen: dict[Value, _Seen]) -> _Seen:
        seen[region.input] = entering
        self.nodes(region.nodes, unit, seen)
        return seen.get(region.output)


def _together(parts: Sequence[_Seen]) -> _Seen:
    known = [part for part in parts if part is not None]
    return frozenset[tuple[Span, Layer]]().union(*known) if known else None


def _after(layer: Layer, span: Span, inputs: Sequence[_Seen]) -> _Seen:
    seen = inputs[0] if inputs and layer.takes_running else None
    if seen is None:
        return None
    match layer:
        case Recurrent():
            return seen | {(span, layer)} if layer.bidirectional else seen
        case SelfAttention():
            return _attended(layer, span, seen, seen)
        case Attend() | CrossAttention():
            sides = dict(zip(layer.sides(), inputs[1:], strict=False))
            over = [sides.get(side) for side in layer.sequences]
            return seen if None in over else _attended(layer, span, seen, _together(over))
    return None


def _attended(layer: Attention, span: Span, seen: _Seen, over: _Seen) -> _Seen:
    together = _together([seen, over])
    assert together is not None
    if layer.causal:
        return together
    # Any of these may be there to hide what comes later.
    hides = any(option is not None for option in (layer.mask, layer.score, layer.documents, layer.prefix))
    if hides or (layer.window is not None and layer.window.value in (None, 1)):
        return None
    return together | {(span, layer)}


def _report(span: Span, layer: Layer, output: str, asked: Compared, report: Report) -> None:
    both = isinstance(layer, Recurrent)
    why = "reads from both ends" if both else "is not causal"
    text = _causal(span.text, layer.word)
    report.error(
        "sees-its-target",
        f"`{output}` is to say the token that comes next, and sees it: this `{layer.word}` {why}",
        span,
        "sees what comes later",
        help="take `bidirectional = true` out" if both else f"write `{text}`" if text else "give it `causal = true`",
        labels=((asked.span, "asks for the next token"),),
        fixes=(Fix(span, text),) if text and not both else (),
        severity="warning",
    )


def _causal(text: str, word: str) -> str:
    """The call with `causal = true`; empty where it is not to be had by putting that behind the rest."""
    if not text.startswith(word) or "causal" in text or "\n" in text:
        return ""
    if text == word:
        return f"{word}(causal = true)"
    return f"{text[:-1].rstrip(' ,')}, causal = true)" if text.endswith(")") and not text.endswith("()") else ""
