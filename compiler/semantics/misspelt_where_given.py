"""A name that is misspelt where it is given is one mistake, however often it is used: `clases = 10`, then `classes`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic, Fix
from ...grammar.source import Span
from .report import UNKNOWN_NAMES

_WORD = re.compile(r"\w+")


def misspelt_where_given(found: Sequence[Diagnostic], file: tree.File) -> list[Diagnostic]:
    """`found`, with one finding for all uses of a name that is near to one which is given and never used."""
    pairs = Counter(pair for d in found if (pair := _used_and_given(d)) is not None)
    places = _only_places({given for (_, given), uses in pairs.items() if uses > 1}, file)
    out: list[Diagnostic] = []
    told: set[tuple[str, str]] = set()
    for d in found:
        pair = _used_and_given(d)
        place = places.get(pair[1]) if pair is not None and pairs[pair] > 1 else None
        if pair is None or place is None or place.source is not d.span.source:
            out.append(d)
        elif pair not in told:
            told.add(pair)
            used, given = pair
            labels = ((place, f"`{given}` is given here, and nothing uses it"),)
            out.append(replace(d, labels=labels, help=f"write `{used}` where it is given", fixes=(Fix(place, used),)))
    return out


def _used_and_given(finding: Diagnostic) -> tuple[str, str] | None:
    """The name that nothing has, and the one that the finding offers for it."""
    if finding.code not in UNKNOWN_NAMES or len(finding.fixes) != 1 or finding.fixes[0].span != finding.span:
        return None
    return finding.span.text, finding.fixes[0].text


def _only_places(names: set[str], file: tree.File) -> dict[str, Span]:
    """Where the names stand that stand only once: where they are given."""
    source = file.span.source
    text = source.text if names else ""
    places: dict[str, list[int]] = {}
    for word in _WORD.finditer(text):
        if word[0] in names:
            places.setdefault(word[0], []).append(word.start())
    return {name: source.span(at[0], at[0] + len(name)) for name, at in places.items() if len(at) == 1}
