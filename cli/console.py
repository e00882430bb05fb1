"""Where a verb speaks: text for people, or JSON and nothing else on standard output; errors on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from io import TextIOWrapper
from typing import Any, TextIO

from ..grammar.diagnostics import Diagnostic, SpecError, render
from ..runtime.errors import RuntimeFault, Stopped

SCHEMA = 1


class Console:
    """`print` is what the verb was asked for, `say` what is good to know; `document` is what `--json` gives."""

    def __init__(self, out: TextIO, err: TextIO, *, json: bool = False, quiet: bool = False) -> None:
        self.out = out
        self.err = err
        self.json = json
        self.quiet = quiet
        self._closed: set[int] = set()

    @classmethod
    def of_process(cls, *, json: bool, quiet: bool) -> Console:
        """The process's own streams, which never fail for a character that they cannot say."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return cls(sys.stdout, sys.stderr, json=json, quiet=quiet)

    def print(self, text: str = "") -> None:
        """A line or more of what was asked for. With `--json` that is the document's to say."""
        if not self.json:
            self._write(self.out, f"{text}\n")

    def say(self, text: str) -> None:
        """What was done, such as the names of files written."""
        if not self.quiet:
            self.print(text)

    def stream(self, text: str) -> None:
        """A piece of text as it comes, shown at once."""
        self._write(self.out, _printable(text))
        self._flush(self.out)

    def document(self, **values: Any) -> None:
        """The one JSON document, or one line of several, where `--json` asks for JSON."""
        if self.json:
            import json

            self._write(self.out, json.dumps({"schema": SCHEMA, **values}, allow_nan=False) + "\n")
            self._flush(self.out)

    def note(self, text: str) -> None:
        """What one should know beside the result."""
        if not self.quiet:
            self._write(self.err, f"{self._painted(_printable(f'note: {text}'), self.err)}\n")

    def diagnostics(self, found: Iterable[Diagnostic], *, to: TextIO | None = None) -> None:
        """Findings as text, an empty line after each."""
        stream = to or self.err
        if self.json and stream is self.out:
            return
        for diagnostic in found:
            self._write(stream, f"{self._painted(_printable(render(diagnostic)), stream)}\n\n")

    def spec_error(self, error: SpecError) -> None:
        """What stopped a verb: the findings of a spec."""
        self.diagnostics(error.diagnostics)
        message, help = getattr(error, "message", ""), getattr(error, "help", "")
        if message:
            self.fault_text(RuntimeFault(message, help), self.err)
        else:
            message = f"{counted(sum(d.severity == 'error' for d in error.diagnostics), 'error')} in the spec"
        shown = [d.as_json() for d in error.diagnostics]
        self.document(event="error", exit_code=1, message=message, help=help, diagnostics=shown)

    def fault(self, fault: RuntimeFault) -> None:
        """What stopped a verb: anything but a spec."""
        self.fault_text(fault, self.err)
        self.document(event="error", exit_code=fault.exit_code, message=fault.message, help=fault.help)

    def fault_text(self, fault: RuntimeFault, stream: TextIO) -> None:
        """A fault in the form of `check`."""
        self._write(stream, f"{self._painted(_printable(fault_text(fault)), stream)}\n")

    def fault_line(self, text: str) -> None:
        """A line that stays with `--quiet`: it says why there is no result."""
        self._write(self.err, f"{self._painted(_printable(text), self.err)}\n")

    def close(self, code: int) -> int:
        """Flush; the exit code, which a reader that went away does not change, and a full disk does."""
        for stream in (self.out, self.err):
            try:
                self._flush(stream)
            except OSError as error:
                self._drop(stream)
                if stream is self.out and code == 0:
                    self.fault_text(RuntimeFault(f"standard output cannot be written: {error.strerror}"), self.err)
                    return 4
        return code

    def _painted(self, text: str, stream: TextIO) -> str:
        if not _has_colour(stream):
            return text
        from .colour import painted

        return painted(text)

    def _write(self, stream: TextIO, text: str) -> None:
        if id(stream) in self._closed:
            return
        try:
            stream.write(text)
        except BrokenPipeError:
            self._drop(stream)

    def _flush(self, stream: TextIO) -> None:
        if id(stream) in self._closed:
            return
        try:
            stream.flush()
        except BrokenPipeError:
            self._drop(stream)

    def _drop(self, stream: TextIO) -> None:
        """Nobody reads any more. What is buffered goes nowhere, so that the interpreter has nothing left to fail at."""
        self._closed.add(id(stream))
        try:
            number = stream.fileno()
        except (OSError, ValueError):
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def fault_text(fault: RuntimeFault) -> str:
    """`error: ...`, then `  = help: ...`, for each of several. To stop on request is no error."""
    return "\n".join(map(_one_fault, fault.each))


def _one_fault(fault: RuntimeFault) -> str:
    lines = [f"{'note' if isinstance(fault, Stopped) else 'error'}: {fault.message}"]
    if fault.help:
        first, *rest = fault.help.splitlines()
        lines += [f"  = help: {first}", *(f"          {line}" for line in rest)]
    return "\n".join(lines)


def counted(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def table(rows: Iterable[Mapping[str, str]], *, right: frozenset[str] = frozenset()) -> str:
    """Rows under their keys, in columns; `right` names those that are flush right."""
    listed = list(rows)
    if not listed:
        return ""
    keys = list(listed[0])
    widths = {key: max(len(key), *(len(row[key]) for row in listed)) for key in keys}

    def line(cells: Mapping[str, str]) -> str:
        aligned = (f"{cells[k]:>{widths[k]}}" if k in right else f"{cells[k]:<{widths[k]}}" for k in keys)
        return "  ".join(aligned).rstrip()

    return "\n".join([line({key: key for key in keys}), *map(line, listed)])


def _has_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _printable(text: str) -> str:
    """Without control characters: what stands in a file must not steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
