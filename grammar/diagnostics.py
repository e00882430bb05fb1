"""What is wrong in a spec, said so that one knows where, what and what to write instead.

A diagnostic has five fields (after Gleam, Elm and rustc): a code in words, a message, a span with its label ("what
is here"), further labelled spans, and help ("what to type"). A fix is an edit that a machine can apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any, Literal

from .frozen import Frozen
from .source import Span

Severity = Literal["error", "warning", "note"]

# Columns of a source line that a message shows at most.
_SHOWN = 240


class Fix(Frozen):
    """Replace `span` by `text`."""

    span: Span
    text: str


class Diagnostic(Frozen):
    """One finding.

    `label` says what stands at `span`; `labels` are further places with what stands there; `help` says what to
    write. `fixes` are alternatives, the best first: applying any one of them should cure the finding.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    labels: tuple[tuple[Span, str], ...] = ()
    help: str = ""
    fixes: tuple[Fix, ...] = ()
    severity: Severity = field(default="error", kw_only=True)

    def as_json(self) -> dict[str, Any]:
        """The form of `dlspec check --json`: lines and columns from 1 in code points, ends exclusive."""
        place = _place(self.span)
        return {
            "severity": self.severity,
            "code": self.code,
            "file": self.span.source.name,
            **place,
            "message": self.message,
            "label": self.label,
            "labels": [{"file": s.source.name, **_place(s), "text": text} for s, text in self.labels],
            "help": self.help,
            "fixes": [_edit(fix) for fix in self.fixes],
        }


def rewrite(code: str, message: str, span: Span, label: str, better: str) -> Diagnostic:
    """A finding that is cured by writing `better` in place of what stands at the span."""
    return Diagnostic(code, message, span, label, help=f"write `{better}`", fixes=(Fix(span, better),))


class SpecError(Exception):
    """A spec that cannot be used. `diagnostics` holds every finding, in source order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = list(diagnostics)
        super().__init__("\n\n".join(render(d) for d in self.diagnostics))


def in_source_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted by file and place, each finding once."""
    unique = dict.fromkeys(diagnostics)
    return sorted(unique, key=lambda d: (d.span.source.name, d.span.start, d.span.end, d.code))


def render(diagnostic: Diagnostic) -> str:
    """A finding as plain text: place, message, the source line, a caret with its label, help.

    >>> error: `Liner` is not a layer [unknown-name]
          --> mlp.dlspec:7:9
         7 |   fc1: Liner(64)
           |        ^^^^^ no layer or block has this name
           = help: write `Linear`
    """
    d = diagnostic
    places = [(d.span, d.label, "^"), *((span, text, "-") for span, text in d.labels)]
    width = max(len(str(span.line)) for span, _, _ in places)
    out = [f"{d.severity}: {d.message} [{d.code}]"]
    previous = None
    for span, text, mark in places:
        if span.source is not previous:
            arrow = "-->" if mark == "^" else ":::"
            out.append(f"{' ' * width} {arrow} {span.source.name}:{span.line}:{span.column}")
            previous = span.source
        line, start = _clipped(span.source.line(span.line), span.column - 1)
        length = max(1, min(span.end - span.start, len(line) - start))
        # A tab before the caret stays a tab, so that the caret stands under its text in every terminal.
        lead = "".join("\t" if char == "\t" else " " for char in line[:start])
        out.append(f"{span.line:>{width}} | {line}")
        out.append(f"{' ' * width} | {lead}{mark * length}{' ' + text if text else ''}")
    if d.help:
        first, *rest = d.help.splitlines()
        out.append(f"{' ' * width} = help: {first}")
        out.extend(f"{' ' * width}         {line}" for line in rest)
    return "\n".join(out)


def _clipped(line: str, start: int) -> tuple[str, int]:
    """What is shown of a line, and where `start` is in it: of a very long line only what is around."""
    first = max(0, start - _SHOWN // 2) if len(line) > _SHOWN else 0
    shown = line[first : first + _SHOWN]
    before, after = "…" if first else "", "…" if first + _SHOWN < len(line) else ""
    return f"{before}{shown}{after}", start - first + len(before)


def _place(span: Span) -> dict[str, int]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}


def _edit(fix: Fix) -> dict[str, Any]:
    p = _place(fix.span)
    return {
        "start": {"line": p["line"], "column": p["column"]},
        "end": {"line": p["end_line"], "column": p["end_column"]},
        "text": fix.text,
    }
