"""Findings say what to write instead: in the words of those who come from other tools, and as an edit for a machine.

Whoever finds a fault says what is wrong; what a machine can do about it often takes a look at what stands around it,
which is done here, and only where there are findings.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic, Fix
from .around import Around, Rule
from .calls import CALLS
from .constants import each_constant_once
from .flows import FLOW_EDITS
from .habits_in_flows import FLOWS
from .habits_in_options import OPTIONS
from .habits_in_recipes import RECIPES
from .halves import with_input_of_halves
from .idioms import IDIOMS
from .lines import LINES
from .names import NAMES
from .origins import with_origin
from .renaming import each_word_once, with_uses
from .shapes import BOUNDS, SHAPES, without_edited_inputs
from .wrong_numbers import NUMBERS

# By the code of a finding: the rules that may know better, in the order in which they are asked. Edits are for
# findings that have none. Habits show in what stands around: a value of `--set`, which stands in no item, has nothing.
_HABITS: tuple[dict[str, tuple[Rule, ...]], ...] = (FLOWS, OPTIONS, RECIPES, IDIOMS)
_RULES: tuple[dict[str, tuple[Rule, ...]], ...] = (BOUNDS, *_HABITS, NAMES)
_EDITS: tuple[dict[str, tuple[Rule, ...]], ...] = (CALLS, SHAPES, LINES, NUMBERS, FLOW_EDITS)


def with_advice(found: Sequence[Diagnostic], file: tree.File, callers: Sequence[tree.File] = ()) -> list[Diagnostic]:
    """The findings in a file, each as the first rule has it that knows what is to be written. `callers` are the files
    that may call its blocks too."""
    if not found:
        return []
    around = Around(file, callers)
    advised = each_constant_once([with_origin(_advised(finding, around), around) for finding in found])
    advised = without_edited_inputs([with_input_of_halves(finding, around) for finding in advised])
    return _each_once(each_word_once([with_uses(finding, around) for finding in advised], around))


def _each_once(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The findings, each slip told once: it may break two rules in one place, or one in two that one edit mends, and an
    option of another name is missed under its own."""
    misnamed = sorted(
        (d.span.source.name, d.span.start) for d in found if d.code == "unknown-option" and d.help != "leave it out"
    )
    told: dict[tuple[str, str, int, int], Diagnostic] = {}
    mended: set[tuple[str, tuple[Fix, ...]]] = set()
    for finding in found:
        file, start, end = finding.span.source.name, finding.span.start, finding.span.end
        if finding.code == "missing-option" and bisect(misnamed, (file, start)) < bisect(misnamed, (file, end)):
            continue
        if finding.fixes and (finding.code, finding.fixes) in mended:
            continue
        mended.add((finding.code, finding.fixes))
        told.setdefault((finding.message, file, start, end), finding)
    return list(told.values())


def _advised(finding: Diagnostic, around: Around) -> Diagnostic:
    tables = (*_RULES, *(() if finding.fixes else _EDITS))
    if not any(finding.code in table for table in tables):
        return finding
    nodes = around.nodes(finding.span)
    rules = [rule for table in tables if nodes or table not in _HABITS for rule in table.get(finding.code, ())]
    return next((better for rule in rules if (better := rule(finding, nodes)) is not None), finding)
