"""Where the compiler's findings are gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice

from ...grammar.diagnostics import Diagnostic, Fix, Severity, in_source_order
from ...grammar.source import Span
from .language import COMBINATORS, functions, layers
from .nearest import is_slip, nearest

UNKNOWN_NAMES = frozenset({"unknown-name", "unknown-layer", "unknown-function"})
"""A layer, function or name that nothing has."""

CALLED = "called here"
"""The label of a call that leads into another file."""

# More names than these help nobody.
_LISTED = 16


class Report:
    """Collects findings; the same place is never reported twice with one code.

    `names_elsewhere` says that names may come from a file that is not read (`import`): then only a name is unknown that
    is one of the language, but for a slip of the hand.
    """

    def __init__(self, found: Iterable[Diagnostic] = (), *, names_elsewhere: bool = False) -> None:
        self.names_elsewhere = names_elsewhere
        self._found: dict[tuple[str, str, int, int], Diagnostic] = {}
        for diagnostic in found:
            self.add(diagnostic)

    def add(self, diagnostic: Diagnostic) -> None:
        span = diagnostic.span
        self._found.setdefault((diagnostic.code, span.source.name, span.start, span.end), diagnostic)

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        help: str = "",
        labels: tuple[tuple[Span, str], ...] = (),
        fixes: tuple[Fix, ...] = (),
        severity: Severity = "error",
    ) -> None:
        self.add(Diagnostic(code, message, span, label, labels, help, fixes, severity=severity))

    def unknown(
        self,
        what: str,
        name: str,
        span: Span,
        legal: Iterable[str],
        spellings: Mapping[str, str] | None = None,
        *,
        code: str = "unknown-name",
        where: str = "",
        message: str = "",
        own: Iterable[str] = (),
        fixed: Iterable[str] | None = None,
        imported: bool = True,
    ) -> None:
        """A name that nothing has: offers the nearest legal one, or lists them where there are few, else the file's
        `own` among them. `fixed` are the words that the language has for the place, left out those of a body;
        `imported` says whether another file could bring such a name."""
        may_be_there = imported and self.names_elsewhere and code in UNKNOWN_NAMES
        if may_be_there and not is_slip(name, fixed or _words_of_bodies()):
            return
        names = sorted(set(legal))
        meant = nearest(name, names, spellings)
        if meant:
            help, fixes = f"write `{meant}`", (Fix(span, meant),)
        elif names and len(names) <= _LISTED:
            help, fixes = f"one of {', '.join(f'`{n}`' for n in names)}", ()
        else:
            given = sorted(set(own))[:_LISTED]
            help, fixes = f"the names here are {', '.join(f'`{n}`' for n in given)}" if given else "", ()
        message = message or f"there is no {what} `{name}`{where}"
        self.error(code, message, span, "not known here", help=help, fixes=fixes)

    def too_deep(self, span: Span, label: str) -> None:
        """Names that lead on and on, past Python's own depth: nesting in the text was refused by the parser."""
        message = "names lead from one to the next more deeply than can be followed"
        self.error("too-deep", message, span, label, help="write some of them out")

    def later(self, what: str, span: Span) -> None:
        """A part of the language that this version has not: a note, so that a spec may be written ahead of it."""
        message = f"{what} is part of the language, and not in this version of dlspec"
        self.error("not-in-this-version", message, span, "understood, but it cannot be run yet", severity="note")

    def __len__(self) -> int:
        return len(self._found)

    def called_from(self, before: int, block: Span, call: Span) -> None:
        """Show at a call, in another file, what was found in a block since `before` findings were there."""
        for key, finding in list(islice(self._found.items(), before, None)):
            # From file to file each call on the way is shown, the first behind the others.
            places = (finding.span, *(span for span, _ in finding.labels))
            if finding.span.source is not call.source and any(place.source is block.source for place in places):
                self._found[key] = replace(finding, labels=(*finding.labels, (call, CALLED)))

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return in_source_order(self._found.values())

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self._found.values())

    @property
    def incomplete(self) -> bool:
        """Whether something was met that this version cannot run."""
        return any(d.code == "not-in-this-version" for d in self._found.values())


def _words_of_bodies() -> frozenset[str]:
    return layers() | functions() | COMBINATORS


class Unheard(Report):
    """A report that nobody reads: for finding out whether something can be worked out."""

    def add(self, diagnostic: Diagnostic) -> None:
        pass

    def unknown(self, *_: object, **__: object) -> None:
        pass
