"""What the editor's protocol calls things: offsets become positions, findings become diagnostics and actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lsprotocol import types
from pygls.uris import from_fs_path

from ..grammar.diagnostics import Diagnostic, Fix, Severity
from ..grammar.source import Span
from .completion import Completion
from .document import Document
from .imports import import_of
from .items import Sort
from .outline import Entry
from .positions import Encoding, Lines

_NO_FAULTS = frozenset({"python-not-allowed"})
"""What an editor never allows, so that it is nothing to mend."""
_SEVERITIES: dict[Severity, types.DiagnosticSeverity] = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "note": types.DiagnosticSeverity.Information,
}

_ITEM_KINDS: dict[Sort, types.CompletionItemKind] = {
    "name": types.CompletionItemKind.Variable,
    "layer": types.CompletionItemKind.Class,
    "function": types.CompletionItemKind.Function,
    "option": types.CompletionItemKind.Property,
    "key": types.CompletionItemKind.Property,
    "word": types.CompletionItemKind.EnumMember,
    "field": types.CompletionItemKind.Field,
    "keyword": types.CompletionItemKind.Keyword,
    "block": types.CompletionItemKind.Module,
    "label": types.CompletionItemKind.Field,
}
_SYMBOL_KINDS: dict[str, types.SymbolKind] = {
    "constant": types.SymbolKind.Constant,
    "function": types.SymbolKind.Function,
    "block": types.SymbolKind.Class,
    "model": types.SymbolKind.Module,
    "section": types.SymbolKind.Namespace,
    "key": types.SymbolKind.Property,
    "label": types.SymbolKind.Field,
    "value": types.SymbolKind.Variable,
}


def range_of(lines: Lines, start: int, end: int) -> types.Range:
    return types.Range(types.Position(*lines.position(start)), types.Position(*lines.position(end)))


def offset_at(document: Document, position: types.Position) -> int:
    return document.lines.offset(position.line, position.character)


def location(span: Span, document: Document) -> types.Location:
    """A place in a document, or in another file that a finding or name lies in."""
    if span.source.name == document.source.name:
        return types.Location(document.uri, range_of(document.lines, span.start, span.end))
    lines = Lines(span.source.text, document.encoding)
    uri = from_fs_path(span.source.name) or ""
    return types.Location(uri, range_of(lines, span.start, span.end))


def diagnostics(found: Iterable[Diagnostic], document: Document) -> Iterator[types.Diagnostic]:
    """All findings of a document; those of a file that it imports are told once, at the import."""
    elsewhere: dict[str, list[Diagnostic]] = {}
    for finding in found:
        if finding.span.source.name == document.source.name:
            yield diagnostic(finding, document)
        elif finding.severity == "error":
            elsewhere.setdefault(finding.span.source.name, []).append(finding)
    for errors in elsewhere.values():
        item = import_of(document.file, errors[0].span.source, document.files)
        if item is not None:
            count = f"{len(errors)} errors" if len(errors) > 1 else "an error"
            yield types.Diagnostic(
                range_of(document.lines, item.span.start, item.span.end),
                f"the imported file has {count}: {errors[0].message}",
                severity=types.DiagnosticSeverity.Error,
                code=errors[0].code,
                source="dlspec",
                related_information=[
                    types.DiagnosticRelatedInformation(location(one.span, document), one.message) for one in errors
                ],
            )


def diagnostic(finding: Diagnostic, document: Document) -> types.Diagnostic:
    """A finding as an editor shows it: what is wrong, what stands there, what to write."""
    told = [finding.message, finding.label, f"help: {finding.help}" if finding.help else ""]
    further = [types.DiagnosticRelatedInformation(location(span, document), text) for span, text in finding.labels]
    return types.Diagnostic(
        range_of(document.lines, finding.span.start, finding.span.end),
        "\n".join(part for part in told if part),
        severity=_SEVERITIES["note" if finding.code in _NO_FAULTS else finding.severity],
        code=finding.code,
        source="dlspec",
        related_information=further or None,
    )


def text_edit(lines: Lines, fix: Fix) -> types.TextEdit:
    return types.TextEdit(range_of(lines, fix.span.start, fix.span.end), fix.text)


def fix_title(fix: Fix) -> str:
    """What a fix does, in a few words."""
    old, new = (text.strip() for text in (fix.span.text, fix.text))
    shown = new.splitlines()[0] if new else ""
    if "\n" in new:
        shown += " ..."
    if not old:
        return f"Insert `{shown}`"
    if not new:
        return f"Take out `{old.splitlines()[0]}`"
    return f"Write `{shown}`"


def quick_fixes(findings: Iterable[Diagnostic], document: Document, start: int, end: int) -> Iterator[types.CodeAction]:
    """An action for each fix of the findings that touch a stretch of the text, and one for all of the document."""
    mendable = [f for f in findings if f.fixes and f.fixes[0].span.source is document.source]
    touched = [f for f in mendable if f.span.start <= end and start <= f.span.end]
    for finding in touched:
        for place, fix in enumerate(finding.fixes):
            yield types.CodeAction(
                fix_title(fix),
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[diagnostic(finding, document)],
                is_preferred=place == 0,
                edit=types.WorkspaceEdit({document.uri: [text_edit(document.lines, fix)]}),
            )
    apart = list(_apart(finding.fixes[0] for finding in mendable))
    if touched and len(apart) > 1:
        edit = types.WorkspaceEdit({document.uri: [text_edit(document.lines, fix) for fix in apart]})
        title = f"Fix all that can be fixed ({len(apart)})"
        yield types.CodeAction(title, kind=types.CodeActionKind.QuickFix, edit=edit)
    if apart:
        edit = types.WorkspaceEdit({document.uri: [text_edit(document.lines, fix) for fix in apart]})
        yield types.CodeAction("Fix all", kind=types.CodeActionKind.SourceFixAll, edit=edit)


def _apart(fixes: Iterable[Fix]) -> Iterator[Fix]:
    """Those of the fixes that do not meddle with one before."""
    last = -1
    for fix in sorted(fixes, key=lambda fix: (fix.span.start, fix.span.end)):
        if fix.span.start > last:
            yield fix
            last = fix.span.end


def completion_list(found: Completion, document: Document, offset: int) -> types.CompletionList:
    """The items in their order; each takes the place of what was typed of it."""
    word = range_of(document.lines, found.start, offset)
    items = [
        types.CompletionItem(
            item.label,
            kind=_ITEM_KINDS[item.sort],
            detail=item.detail or None,
            documentation=types.MarkupContent(types.MarkupKind.Markdown, text) if (text := item.text()) else None,
            sort_text=f"{place:04}",
            text_edit=types.TextEdit(word, item.insert or item.label),
        )
        for place, item in enumerate(found.items)
    ]
    return types.CompletionList(False, items)


def document_symbol(entry: Entry, document: Document) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        entry.name,
        _SYMBOL_KINDS[entry.kind],
        range_of(document.lines, entry.span.start, entry.span.end),
        range_of(document.lines, entry.place.start, entry.place.end),
        detail=entry.detail or None,
        children=[document_symbol(one, document) for one in entry.inside] or None,
    )


def encoding_of(kind: types.PositionEncodingKind | str | None) -> Encoding:
    match kind:
        case types.PositionEncodingKind.Utf8:
            return "utf-8"
        case types.PositionEncodingKind.Utf32:
            return "utf-32"
    return "utf-16"
