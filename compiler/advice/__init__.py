"""Findings say what to write instead: in the words of those who come from other tools, and as an edit for a machine.

Whoever finds a fault says what is wrong; what a machine can do about it often takes a look at what stands around it,
which is done here, and only where there are findings.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from .around import Around, Rule
from .calls import CALLS
from .idioms import IDIOMS
from .lines import LINES
from .shapes import SHAPES

# By the code of a finding: the rules that may know better, in the order in which they are asked. Edits are for
# findings that have none.
_EDITS: tuple[dict[str, tuple[Rule, ...]], ...] = (CALLS, SHAPES, LINES)


def with_advice(found: Sequence[Diagnostic], file: tree.File) -> list[Diagnostic]:
    """The findings, each as the first rule has it that knows what is to be written."""
    if not found:
        return []
    around = Around(file)
    return [_advised(finding, around) for finding in found]


def _advised(finding: Diagnostic, around: Around) -> Diagnostic:
    rules = list(IDIOMS.get(finding.code, ()))
    if not finding.fixes:
        rules.extend(rule for table in _EDITS for rule in table.get(finding.code, ()))
    if not rules:
        return finding
    nodes = around.nodes(finding.span)
    return next((better for rule in rules if (better := rule(finding, nodes)) is not None), finding)
