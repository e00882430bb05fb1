"""Running a file with layers, where that was allowed: once a process for one text, as a module under a name of its own.

Nothing is put on the search path: a file with layers stands alone, on what is installed.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import linecache
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from types import ModuleType, TracebackType

from ...grammar.source import Source

_running = threading.Lock()


class PythonFault(Exception):
    """What the Python of a file raised, with the line of the file that it came from; None where none of it ran."""

    def __init__(self, error: BaseException, source: Source) -> None:
        super().__init__(str(error))
        self.error = error
        self.line = _line(error.__traceback__, source)
        if self.line is None and isinstance(error, SyntaxError):
            self.line = error.lineno

    @property
    def said(self) -> str:
        """The first line of the message behind the kind of error, as Python shows it."""
        first = next((line.strip() for line in str(self.error).splitlines() if line.strip()), "")
        kind = type(self.error).__name__
        return f"{kind}: {first}" if first else kind

    @property
    def missing(self) -> str | None:
        """The module that is not installed, where that is what is wrong."""
        error = self.error
        return error.name.partition(".")[0] if isinstance(error, ModuleNotFoundError) and error.name else None


class _Loader(importlib.abc.ExecutionLoader):
    """Loads a module from a text that was read already: what was hashed is what runs."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def get_source(self, fullname: str) -> str:
        return self.source.text

    def get_filename(self, fullname: str) -> str:
        return self.source.name

    def is_package(self, fullname: str) -> bool:
        return False


def run_file(source: Source) -> ModuleType:
    """The module of a file; the same text under the same path is run once. Raises PythonFault."""
    digest = sha256(f"{source.name}\n{source.text}".encode()).hexdigest()
    name = f"dlspec_layers_{digest[:16]}"
    with _running:
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_loader(name, _Loader(source))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # For what reads the text of functions: the path may be one inside a run, where no file lies.
        linecache.cache[source.name] = (len(source.text), None, source.text.splitlines(keepends=True), source.name)
        sys.modules[name] = module  # dataclasses look their module up there while it runs
        try:
            with faults_of(source):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module


@contextmanager
def faults_of(source: Source) -> Iterator[None]:
    """Whatever Python raises inside becomes a PythonFault; what it prints goes to standard error."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        raise PythonFault(error, source) from None


def _line(trace: TracebackType | None, source: Source) -> int | None:
    """The innermost line of the file among those that a trace went through."""
    found = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source.name:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
