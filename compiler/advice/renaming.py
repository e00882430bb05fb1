"""A name that cannot be given is changed where it is given and where it is used, in one edit."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic, Fix
from ...grammar.source import Span
from .around import Around

# An edit is one stretch of the text. Over a longer one the uses are told by and by, each in its place.
_LONGEST = 8_000
# A name that so many bodies give is left to them.
_OTHERS = 8
_FOR_ALL_OF_THE_FILE = (tree.Constant, tree.Function, tree.Block, tree.Model)
_CODES = frozenset({"reserved-word", "taken-name", "taken-label", "wrong-case"})
# What the reader of the text tells at each place where it stands.
_AT_EACH_PLACE = frozenset({"reserved-word", "wrong-case"})


def with_uses(finding: Diagnostic, around: Around) -> Diagnostic:
    """The finding with an edit that renames the uses too, where its own edit renames what is given."""
    if finding.code == "bad-limit":
        return _of_one_size(finding, around)
    better = _new_name(finding)
    if better is None:
        return finding
    places = _places(finding.span, around)
    if places is None or around.given(better) or around.mentions(better):
        return finding
    fix = _at_all(places, better)
    return finding if fix is None else replace(finding, fixes=(fix, *finding.fixes[1:]))


def each_word_once(found: Sequence[Diagnostic], around: Around) -> list[Diagnostic]:
    """The findings, the uses of such a name left to the finding of the place where it is given."""
    renamed = {
        (d.span.source.name, d.span.text): d.fixes[0].span
        for d in reversed(found)
        if d.code in _AT_EACH_PLACE and d.fixes and d.fixes[0].span != d.span
    }

    @cache
    def starts(name: str) -> set[int]:
        return {span.start for span in around.given(name)}

    def is_used(d: Diagnostic) -> bool:
        whole = renamed.get((d.span.source.name, d.span.text)) if d.code in _AT_EACH_PLACE else None
        if whole is None or d.span.start <= whole.start or whole.end < d.span.end:
            return False
        return d.span.start not in starts(d.span.text)

    return [d for d in found if not is_used(d)] if renamed else list(found)


def _new_name(finding: Diagnostic) -> str | None:
    """What the finding's edit calls the name, or what its help offers."""
    if finding.code not in _CODES or not finding.span.text.isidentifier():
        return None
    if finding.fixes:
        return finding.fixes[0].text if finding.fixes[0].span == finding.span else None
    offered = re.match(r"call it `(\w+)`", finding.help)
    return None if offered is None else offered[1]


def _places(given: Span, around: Around) -> list[Span] | None:
    """Where a name is given and used; None where nothing is given at the span."""
    nodes = around.nodes(given)
    item, name = (nodes[0], nodes[-1]) if nodes else (None, None)
    if item is None or not isinstance(name, tree.Name) or name.span != given:
        return None
    if isinstance(item, _FOR_ALL_OF_THE_FILE) and item.name is name:
        # A body that gives the name anew means its own.
        others = [around.nodes(span)[0] for span in around.given(name.text)[: _OTHERS + 1]]
        if len(others) > _OTHERS:
            return None
        places = [span for span in around.mentions(name.text) if not any(_inside(span, other) for other in others)]
        return [given, *places]
    if isinstance(item, tree.Train | tree.Export):
        return None
    within = [span for span in _mentions_in(item, name.text, around) if span != given]
    by_name = _given_to(item, name, around) if isinstance(item, tree.Block) else ()
    return [given, *within, *by_name]


def _given_to(block: tree.Block, name: tree.Name, around: Around) -> Iterator[Span]:
    """Where calls of a block give a parameter by its name."""
    if any(param.name is name for param in block.params or ()):
        for call in around.calls.get(block.name.text, ()):
            for arg in call.args or ():
                if isinstance(arg, tree.Keyword) and arg.name.text == name.text:
                    yield arg.name.span


def _mentions_in(item: tree.Node, name: str, around: Around) -> list[Span]:
    mentions = around.mentions(name)
    first = bisect_left(mentions, item.span.start, key=lambda span: span.start)
    return mentions[first : bisect_left(mentions, item.span.end, key=lambda span: span.start)]


def _inside(span: Span, node: tree.Node | Diagnostic) -> bool:
    return node.span.start <= span.start and span.end <= node.span.end


def _of_one_size(finding: Diagnostic, around: Around) -> Diagnostic:
    """`T == 4` becomes `4`, and so does each `T` of the signature."""
    name = re.search(r"compares `([A-Z]\w*)` with it", finding.message)
    item = next(iter(around.nodes(finding.span)), None)
    if name is None or not finding.fixes or not isinstance(item, tree.Block | tree.Model):
        return finding
    size = finding.fixes[0].text
    within = [span for span in _mentions_in(item, name[1], around) if not _inside(span, finding)]
    if any(_inside(span, item.body) for span in within) or not size.isdigit():
        return finding  # `mean(over = T)` needs the name
    fix = _at_all([finding.span, *within], size)
    return finding if fix is None else replace(finding, fixes=(fix,))


def _at_all(places: Iterable[Span], better: str) -> Fix | None:
    """An edit that writes the same at several places, from the first to the last of them."""
    places = sorted(places, key=lambda span: span.start)
    first, last = places[0], places[-1]
    if last.end - first.start > _LONGEST:
        return None
    text, at = [], first.start
    for place in places:
        text += [first.source.text[at : place.start], better]
        at = place.end
    return Fix(Span(first.source, first.start, last.end), "".join(text))
