"""What was found in a spec, as it is told: each finding held against the file in which it stands.

A check is quicker without this module: most files have no fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..grammar import Diagnostic, tree
from ..grammar.diagnostics import in_source_order
from ..grammar.source import Source, Span
from .advice import with_advice
from .semantics.follow_ups import without_follow_ups
from .semantics.imports import NO_RULE, Imported, all_imported, is_shipped


def told(
    found: Iterable[Diagnostic], spelling: Sequence[Diagnostic], file: tree.File, imports: tuple[Imported, ...]
) -> list[Diagnostic]:
    """The findings less those that follow from others, with what is to be written instead.

    `spelling` are the parser's own in `file`. What is wrong in a block that ships is told where it is called; what no
    file has stands in an override, or in a file that could not be read.
    """
    by_source: dict[Source, list[Diagnostic]] = {}
    for finding in found:
        by_source.setdefault(finding.span.source, []).append(finding)
    brought = list(all_imported(imports))
    written = [file, *(one.file for one in brought if not is_shipped(one.source.name))]
    own = by_source.pop(file.span.source, [])
    said = with_advice(without_follow_ups(own, spelling, file), file)
    for one in brought:
        inside = by_source.pop(one.source, [])
        if is_shipped(one.source.name):
            said += _where_called(inside, [one.span.source for one in written])
        elif inside:
            callers = [other for other in written if other is not one.file]
            said += with_advice(without_follow_ups(inside, one.found, one.file), one.file, callers)
    for elsewhere in by_source.values():
        said += with_advice(elsewhere, file)
    # A file of Python without any shape rule is told at the class of it that a spec uses.
    used = {span.source.name for d in said if d.code == "unknown-layer" for span, _ in d.labels}
    said = [d for d in said if not (d.span.source.name in used and d.message.endswith(NO_RULE))]
    return in_source_order(map(_without_edits_elsewhere, said))


def _where_called(inside: Sequence[Diagnostic], files: Sequence[Source]) -> list[Diagnostic]:
    """Findings in a block that ships, told at its call in one of `files`: what it is given does not fit. One for each
    call, without edits: nobody is to change what ships."""
    first: dict[Span, Diagnostic] = {}
    for finding in inside:
        calls = [(span, text) for span, text in finding.labels if span.source in files]
        if not calls:
            first.setdefault(finding.span, replace(finding, fixes=()))
            continue
        place, text = calls[0]
        others = [label for label in finding.labels if not _holds(label[0], place)]
        labels = ((finding.span, finding.label), *others)
        help = "give it other values: what ships stays as it is" if finding.span.text in finding.help else finding.help
        first.setdefault(place, replace(finding, span=place, label=text, labels=labels, help=help, fixes=()))
    return list(first.values())


def _holds(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end


def _without_edits_elsewhere(finding: Diagnostic) -> Diagnostic:
    """An edit is one of the file in which the finding is told."""
    fixes = tuple(fix for fix in finding.fixes if fix.span.source is finding.span.source)
    return finding if len(fixes) == len(finding.fixes) else replace(finding, fixes=fixes)
