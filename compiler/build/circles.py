"""Flows under names that lead back to themselves where nothing runs them: their text alone is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...grammar import tree
from ...grammar.source import Span
from ..semantics.evaluate import Recipe
from ..semantics.report import Report
from ..semantics.resolve import FileScope

ENDLESS_HELP = "`share(n) { ... }` applies one flow n times, `repeat(n) { ... }` makes copies"
_RUN_THEIR_BODY = frozenset({"residual", "share", "dense", "checkpoint"})


def circles(flows: Mapping[str, tree.Flow], means: Callable[[str, str], bool]) -> Iterator[tuple[list[str], Span]]:
    """The circles among flows by their names: each with its first name at its end too, and the place that leads back.

    `means(a, b)` says whether the name `b` stands for the flow `b` in `a`.

    Each flow is read once, and nothing recurses, however long a way is.
    """
    done: set[str] = set()
    for start in flows:
        way = {} if start in done else {start: _named(flows[start])}
        while way:
            last = next(reversed(way))
            step = next(way[last], None)
            if step is None:
                done.add(last)
                del way[last]
                continue
            name = step.parts[0]
            if name not in flows or name in done or not means(last, name):
                continue
            if name in way:
                names = [*way]
                yield [*names[names.index(name) :], name], step.span
            else:
                way[name] = _named(flows[name])


def check_constants(file: FileScope, report: Report) -> None:
    """Report flows of the file that lead back to themselves."""
    own = {name: item.value for name, item in file.constants.items() if name not in file.owners}
    flows = {name: value for name, value in own.items() if isinstance(file.find(name), Recipe)}
    report_circles(flows, lambda *_: True, report)


def report_circles(flows: Mapping[str, tree.Flow], means: Callable[[str, str], bool], report: Report) -> set[str]:
    """Report the circles among flows; those that something ran were told there. Returns the names of all."""
    endless: set[str] = set()
    for way, span in circles(flows, means):
        endless.update(way)
        parts = [flows[name].span for name in way]
        told = [d.span for d in report.diagnostics if d.code == "endless-flow"]
        if not any(_holds(part, place) for part in parts for place in told):
            message = f"`{way[0]}` leads back to itself: {' -> '.join(way)}"
            report.error("endless-flow", message, span, "leads back here", help=ENDLESS_HELP)
    return endless


def _holds(part: Span, place: Span) -> bool:
    return part.source is place.source and part.start <= place.start < part.end


def _named(flow: tree.Flow | tree.Line) -> Iterator[tree.Path]:
    """The bare names that a flow is sure to run, whatever numbers it is built with."""
    parts: tuple[tree.Flow | tree.Line, ...]
    match flow:
        case tree.Then(stages=parts):
            pass
        case tree.Label(target=target):
            parts = (target,)
        case tree.Binary(left=left, right=right):
            parts = (left, right)
        case tree.Negate(operand=operand):
            parts = (operand,)
        case tree.List(entries=entries):
            parts = tuple(entry for entry in entries if not isinstance(entry, tree.Entry))
        case tree.Body(lines=lines):
            # A name that the body gives anew is meant there; its flows run only if they are used.
            if any(isinstance(line, tree.Binding | tree.Named) for line in lines):
                return
            parts = tuple(line for line in lines if not isinstance(line, tree.Default | tree.Phase))
        case tree.Stage(path=path, args=None, body=None) if len(path.parts) == 1:
            yield path
            return
        case tree.Stage(path=tree.Path(parts=(word,)), body=tree.Body() as body) if word in _RUN_THEIR_BODY:
            parts = (body,)
        case _:
            return
    for part in parts:
        yield from _named(part)
