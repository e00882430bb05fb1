"""`parallel`: ways to train on several devices, and sums of them."""

from __future__ import annotations

from ...grammar import tree
from ..semantics.evaluate import Scope
from ..semantics.report import Report
from .base import Options
from .calls import Chosen, choose, read_call, resolved
from .language import PARALLEL


class Parallel(Options):
    """One way to share the work of an update among devices."""


def read_parallel(flow: tree.Flow, scope: Scope, report: Report) -> tuple[Parallel, ...] | None:
    """The ways of a sum, or None (reported)."""
    found: list[Chosen[Parallel] | None] = []
    for part in _parts(flow, scope):
        if isinstance(part, tree.Nothing):
            help = "write `none`, or take it out of the sum"
            report.error("wrong-value", "`none` is no part of a sum", part.span, "adds nothing", help=help)
            found.append(None)
            continue
        chosen = choose(part, "parallel", "parallel", Parallel, PARALLEL, scope, report)
        found.append(None if chosen is None else read_call(*chosen, report))
    read = [chosen for chosen in found if chosen is not None]
    return tuple(chosen.options for chosen in read) if len(read) == len(found) and _together(read, report) else None


def _parts(flow: tree.Flow, scope: Scope) -> list[tree.Flow]:
    flow, scope = resolved(flow, scope)
    if isinstance(flow, tree.Binary) and flow.operator == "+":
        return [*_parts(flow.left, scope), *_parts(flow.right, scope)]
    return [flow]


def _together(read: list[Chosen[Parallel]], report: Report) -> bool:
    """Each way stands once, and the batch is shared out in one way."""
    first: dict[str, Chosen[Parallel]] = {}
    for chosen in read:
        word = chosen.options.word
        kind = "batch" if word in ("ddp", "fsdp") else word
        before = first.setdefault(kind, chosen)
        if before is not chosen:
            same = before.options.word == word
            message = f"`{word}` stands here twice" if same else "`ddp` and `fsdp` both share out the batch"
            labels = ((before.span, "the first one"),)
            report.error("conflict", message, chosen.span, "one too many", help="take one of them out", labels=labels)
            return False
    return True
