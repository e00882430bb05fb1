"""What `default` lines reach: one that nothing takes, two that give the same option, and values that no layer takes.

A layer's call reads its defaults by itself; here the lines are held against the text, whether anything runs it or not.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from ...grammar import tree
from ..semantics.evaluate import Scope
from ..semantics.report import Report
from ..semantics.resolve import FileScope
from .defaults import COMBINATOR_OPTIONS, TAKES_DEFAULTS
from .plain_values import check_value


def check_repeated_defaults(file: FileScope, report: Report) -> None:
    """Report an option that two lines of one body, or of the file, give a default, where nothing uses the first."""
    uses = _uses(file.file)
    for lines, _ in _scopes(file.file):
        before: dict[tuple[str, str], tree.Keyword] = {}
        for line in lines:
            word = str(line.stage.path)
            if word in COMBINATOR_OPTIONS and word != TAKES_DEFAULTS:
                report.error(
                    "empty-default",
                    f"no default reaches `{word}`, which is told its options where it stands",
                    line.span,
                    "nothing is set here",
                    help="take the line out",
                )
            for arg in line.stage.args or ():
                if not isinstance(arg, tree.Keyword):
                    continue
                first = before.get((word, arg.name.text))
                if first is not None and not _used(uses, word, first.span.end, line.span.start):
                    report.error(
                        "conflict",
                        f"`{arg.name}` of `{word}` has a default already, and nothing stands between the two",
                        arg.span,
                        "given again here",
                        labels=((first.span, "given here first"),),
                        help="take one of them out",
                    )
                before[word, arg.name.text] = arg


def check_defaults_reach(file: FileScope, report: Report) -> None:
    """Warn of `default` lines below which nothing stands that takes them."""
    uses = _uses(file.file)
    for lines, end in _scopes(file.file):
        for line in lines:
            word = str(line.stage.path)
            if not _used(uses, word, line.span.end, end):
                report.error(
                    "empty-default",
                    f"this default reaches nothing: no `{word}` stands below it",
                    line.span,
                    "nothing takes it",
                    help="take the line out, or move it above what is to take it",
                    severity="warning",
                )


def check_default_values(line: tree.Default, file: FileScope, scope: Scope, report: Report) -> None:
    """Report values that the layer of a `default` does not take, whether a call takes them or not."""
    word = str(line.stage.path)
    kind = file.layer(word)
    for arg in line.stage.args or ():
        if kind is not None and isinstance(arg, tree.Keyword):
            check_value(kind, arg.name.text, arg.value, scope, report)


def _scopes(file: tree.File) -> Iterator[tuple[list[tree.Default], int]]:
    """The `default` lines of the file, and of each body that has some, with the place where their reach ends."""
    for node in tree.walk(file):
        lines = node.items if isinstance(node, tree.File) else node.lines if isinstance(node, tree.Body) else ()
        defaults = [line for line in lines if isinstance(line, tree.Default)]
        if defaults:
            yield defaults, node.span.end


def _uses(file: tree.File) -> Mapping[str, Sequence[int]]:
    """Where each word stands as a stage, but as that which a `default` line is for."""
    for_them = {id(node.stage) for node in tree.walk(file) if isinstance(node, tree.Default)}
    uses: dict[str, list[int]] = {}
    for node in tree.walk(file):
        if isinstance(node, tree.Stage) and id(node) not in for_them:
            uses.setdefault(str(node.path), []).append(node.span.start)
    return {word: sorted(places) for word, places in uses.items()}


def _used(uses: Mapping[str, Sequence[int]], word: str, start: int, end: int) -> bool:
    """Whether a word stands between two places."""
    places = uses.get(word, ())
    i = bisect_left(places, start)
    return i < len(places) and places[i] < end
