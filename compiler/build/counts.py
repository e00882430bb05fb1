"""The counts of combinators: how many copies, how often, through how many."""

from __future__ import annotations

from ...grammar import tree
from ...grammar.frozen import Frozen
from ..semantics.evaluate import FAULT, Scope, evaluate, is_number
from ..semantics.number import Number, is_whole, whole
from ..semantics.report import Report
from .env import blamed
from .unfolding import MOST_UNITS


class Count(Frozen):
    """What an option takes, worded for a message, with the least that it may be and a call that shows it."""

    takes: str
    least: int
    example: str


COUNTS: dict[tuple[str, str], Count] = {
    ("repeat", "count"): Count("`repeat` takes a whole number of copies", 0, "repeat(4) { ... }"),
    ("share", "n"): Count("`n` of `share` takes a whole number of at least 1", 1, "share(4) { ... }"),
    ("experts", "n"): Count("`n` of `experts` takes a whole number of at least 1", 1, "experts(8, top = 2) { ... }"),
    ("experts", "top"): Count(
        "`top` of `experts` takes a whole number of at least 1", 1, "experts(8, top = 2) { ... }"
    ),
}
"""By combinator and option."""


def read_count(word: str, name: str, flow: tree.Flow, scope: Scope, report: Report) -> Number | None:
    """A count as it is written; None where it is wrong (reported)."""
    count = COUNTS[word, name]
    value = evaluate(flow, scope, report)
    if value is FAULT:
        return None
    if not is_number(value) or not is_whole(value) or whole(value) < count.least:
        place, label, labels = blamed(value, flow, scope)
        help = f"such as `{count.example}`"
        report.error("wrong-value", count.takes, place, label, help=help, labels=labels)
        return None
    if word == "repeat" and whole(value) > MOST_UNITS:
        message, label = f"`repeat` makes {MOST_UNITS:,} copies at most", f"{whole(value):,} copies"
        report.error("wrong-value", message, flow.span, label, help="share weights with `share(n)`")
        return None
    return value
