"""How large a model may become when its blocks, its copies and the flows that have a name are written out.

What stands once in the text may be placed any number of times: `repeat` in `repeat`, a block that calls another twice,
a flow that names another twice. Such numbers multiply, so a few lines could fill any memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...grammar import tree
from ...grammar.source import Span
from ..semantics.report import Report

MOST_UNITS = 100_000
"""Blocks, groups and copies. More than any network has; a slip of the finger does not fill the memory."""

MOST_STAGES = 30_000
"""Stages that calls and copies place beyond those of the model's own text. Each takes a tenth of a millisecond."""

_HELP = "copies of copies and calls of calls multiply: make fewer, or run one copy again with `share(n)`"


@dataclass(eq=False)
class Unfolding:
    """What a model has come to so far. Once it is `over` a limit, which is told once, no call places anything more."""

    over: bool = False
    _stages: int = 0
    _lengths: dict[int, int] = field(default_factory=dict)

    def has_room(self, flow: tree.Flow, call: Span, outermost: Span, report: Report) -> bool:
        """Whether a call may place a flow, which counts as placed then; reports the one that may not.

        `outermost` is the call in the model's own text inside which this one is made, or this one.
        """
        if not self.over:
            if id(flow) not in self._lengths:
                self._lengths[id(flow)] = _stages(flow)
            self._stages += self._lengths[id(flow)]
            if self._stages > MOST_STAGES:
                message = f"a model unfolds to {MOST_STAGES:,} stages at most"
                around = ((outermost, "inside this"),) if outermost != call else ()
                self._tell(message, call, "too many with this", report, around)
        return not self.over

    def check_units(self, count: int, call: Span, report: Report) -> None:
        """Report the call or repeat with which a unit has too many inside it."""
        if count > MOST_UNITS and not self.over:
            message = f"a model unfolds to {MOST_UNITS:,} blocks, groups and copies at most"
            self._tell(message, call, f"{count:,} with these", report)

    def _tell(
        self, message: str, call: Span, label: str, report: Report, around: tuple[tuple[Span, str], ...] = ()
    ) -> None:
        self.over = True
        report.error("too-large", message, call, label, labels=around, help=_HELP)


def _stages(node: object) -> int:
    """The stages of a flow, less those that count when they are placed: arguments, and bodies that are copied."""
    match node:
        case tree.Stage(path=path, body=body):
            return 1 + (0 if path.parts[0] in ("repeat", "experts") else _stages(body))
        case tree.Node():
            return sum(_stages(getattr(node, name)) for name in node.__dataclass_fields__ if name != "span")
        case tuple():
            return sum(map(_stages, node))
    return 0
