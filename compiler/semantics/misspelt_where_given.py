"""A name that is misspelt where it is given is one mistake, however often it is used: `clases = 10`, then `classes`."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic, Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from .nearest import nearest
from .report import UNKNOWN_NAMES

_USES = UNKNOWN_NAMES | {"unknown-option", "unknown-module", "unknown-weight", "misplaced-project"}
"""Codes of findings that begin at a name which nothing has, or which was given for something else."""

_OF_MEANT = frozenset({"missing-output", "endless-flow"})
_OF_GIVEN = frozenset({"missing-output", "unbound-input", "taken-name", "unused-name"})
"""Codes of findings that such a name brings with it: about itself, and about the one that is given for it."""

_FOLLOWING = frozenset({"unused-name", "endless-flow"})
"""Codes of those that say least."""

_WORD = re.compile(r"\w+")
# Names where they are read as such.
_READ = re.compile(r'"[^"\n]*"|#[^\n]*|\w+')


class _Given(Frozen):
    """A name where it is given, and what it is a name in: None for the file as a whole."""

    word: str
    place: Span
    unit: tree.Block | tree.Model | tree.Function | None
    is_label: bool


def misspelt_where_given(found: Sequence[Diagnostic], file: tree.File) -> list[Diagnostic]:
    """`found`, with one finding for all that is said of a name which nothing has and which is near to one that is given
    and never used: of each use, of the options and modules of that name, and of the other name."""
    uses, of_meant, of_given = _by_word(found)
    many = {word for word, of_word in uses.items() if len(of_word) > 1 or word in of_meant}
    if not many and not (uses and of_given):
        return list(found)
    names = _Names(file)
    told: dict[Diagnostic, tuple[str, Span]] = {}
    for word, of_word in uses.items():
        for given in names.near(word, of_word, None if word in many else of_given):
            mine = [d for d in of_word if names.reaches(given, d)]
            beside = (*of_meant.get(word, ()), *of_given.get(given.word, ()))
            mine += [d for d in beside if mine and names.is_about(d, word, given)]
            if len(mine) > 1:
                told |= dict.fromkeys(mine, (word, given.place))
                break
    return _once(found, told)


def _by_word(found: Sequence[Diagnostic]) -> tuple[dict[str, list[Diagnostic]], ...]:
    """The findings about names that nothing has, and those that each brings with it, by their words."""
    uses: dict[str, list[Diagnostic]] = {}
    of_meant: dict[str, list[Diagnostic]] = {}
    of_given: dict[str, list[Diagnostic]] = {}
    for d in found:
        if d.severity != "error":
            continue
        for codes, table in ((_USES, uses), (_OF_MEANT, of_meant), (_OF_GIVEN, of_given)):
            if d.code in codes and _word(d):
                table.setdefault(_word(d), []).append(d)
    return uses, of_meant, of_given


def _once(found: Sequence[Diagnostic], told: dict[Diagnostic, tuple[str, Span]]) -> list[Diagnostic]:
    """`found`, with the first of all findings that one edit mends, as a name of how it is meant and its place."""
    first: dict[tuple[str, Span], Diagnostic] = {}
    for d in sorted(told, key=lambda d: (d.code in _FOLLOWING, d.span.start)):
        first.setdefault(told[d], d)
    out: list[Diagnostic] = []
    for d in found:
        if d not in told:
            out.append(d)
        elif first[told[d]] is d:
            word, place = told[d]
            labels = () if place == d.span else ((place, f"`{place.text}` is given here, and nothing uses it"),)
            out.append(replace(d, labels=labels, help=f"write `{word}` where it is given", fixes=(Fix(place, word),)))
    return out


class _Names:
    """The names that stand only where they are given, and which findings may be about them."""

    def __init__(self, file: tree.File) -> None:
        self.source = file.span.source
        self.items = sorted(file.items, key=lambda item: item.span.start)
        self.starts = [item.span.start for item in self.items]
        often = Counter(_READ.findall(self.source.text))
        self.given = {name.word: name for name in _given(file)}
        self.once = {word: name for word, name in self.given.items() if often[word] == 1}

    def near(self, word: str, uses: Sequence[Diagnostic], among: Container[str] | None) -> Iterator[_Given]:
        """What may be given for a name: what its uses offer, then what is nearest to it, unless they offer a word of
        the language; labels come last."""
        offered = [fix.text for d in uses for fix in d.fixes if fix.text in self.once]
        of_kind = [fix.text for d in uses if d.code in UNKNOWN_NAMES for fix in d.fixes if _of_a_kind(fix.text, word)]
        foreign = any(text not in self.given and nearest(word, (text,)) for text in of_kind)
        alike = () if foreign else self.once.values()
        names = [name for name in alike if _of_a_kind(name.word, word) and (among is None or name.word in among)]
        for labels in (False, True):
            yield from (self.once[o] for o in dict.fromkeys(offered) if self.once[o].is_label == labels)
            meant = nearest(word, [name.word for name in names if name.is_label == labels])
            if meant is not None:
                yield self.once[meant]

    def reaches(self, given: _Given, use: Diagnostic) -> bool:
        """Whether a use of an unknown name may have meant the one that is given."""
        if use.span.source is not self.source:
            return False
        if given.is_label and use.code in ("unknown-module", "unknown-weight"):
            return True
        if use.code == "unknown-option":
            return given.unit is not None and use.message.startswith(f"`{given.unit.name.text}` ")
        item = self._item(use)
        return given.unit is None or item is given.unit or isinstance(item, tree.Train | tree.Export)

    def is_about(self, finding: Diagnostic, word: str, given: _Given) -> bool:
        """Whether what is said of the name that is given, or is missing, is cured with the uses of that `word`."""
        if finding.code == "unbound-input":
            return f"`{word}`" in finding.help
        return given.unit is None or self._item(finding) is given.unit

    def _item(self, finding: Diagnostic) -> tree.Item | None:
        at = bisect_right(self.starts, finding.span.start) - 1
        return self.items[at] if at >= 0 else None


def _given(file: tree.File) -> Iterator[_Given]:
    for item in file.items:
        if isinstance(item, tree.Constant | tree.Function | tree.Block | tree.Model):
            yield _Given(item.name.text, item.name.span, None, is_label=False)
        if isinstance(item, tree.Block | tree.Model | tree.Function):
            for node in tree.walk(item):
                match node:
                    case tree.Param(name=name) | tree.Binding(name=name) | tree.Port(name=tree.Name() as name):
                        yield _Given(name.text, name.span, item, is_label=False)
                    case tree.Named(names=names):
                        yield from (_Given(name.text, name.span, item, is_label=False) for name in names)
                    case tree.Label(name=name):
                        yield _Given(name.text, name.span, item, is_label=True)


def _of_a_kind(name: str, other: str) -> bool:
    return name[:1].isupper() == other[:1].isupper()


def _word(finding: Diagnostic) -> str:
    """The name that a finding is about, which stands where its span begins but for an input that nothing binds."""
    text = finding.message.partition("`")[2] if finding.code == "unbound-input" else finding.span.text
    found = _WORD.match(text)
    return found[0] if found else ""
