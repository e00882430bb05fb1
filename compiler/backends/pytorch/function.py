"""A function of emitted code while it is written: its head, its docstring and its statements."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from itertools import count
from textwrap import wrap

from ...training.spelling import variable
from .layout import WIDTH

DOC_WIDTH = 120


def docstring(text: str, indent: str = "", more: str = "") -> list[str]:
    """One line where it stays below 120 columns, as docstrings do that are read and not formatted; else several.

    `more` is a paragraph below it.
    """
    line = f'{indent}"""{text}"""'
    if more:
        paragraphs = [f'{indent}"""{text}', f"{indent}{more}"]
        first, below = (wrap(one, WIDTH, subsequent_indent=indent, break_on_hyphens=False) for one in paragraphs)
        return [*first, "", *below, f'{indent}"""']
    return [line] if len(line) <= DOC_WIDTH else wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


class Definitions:
    """Functions and classes that a file has before those that call them."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[str, ...]] = {}

    @property
    def texts(self) -> list[list[str]]:
        return [list(lines) for lines in self._lines.values()]

    def add(self, name: str, lines: Iterable[str], taken: Container[str] = ()) -> str:
        """Put one in; returns its name, which may end in a number. The same lines are the same definition."""
        wanted = tuple(lines)
        for number in count(1):
            free = name if number == 1 else f"{name}_{number}"
            own = tuple(re.sub(rf"\b{name}\b", free, line) for line in wanted)
            if free not in taken and self._lines.setdefault(free, own) == own:
                return free
        raise AssertionError  # there is always another number


class Function:
    """The body of a function while it is written. `taken` are the names that it may not give away."""

    def __init__(self, names: Iterable[str], definitions: Definitions | None = None) -> None:
        self.lines: list[str] = []
        self.taken = set(names)
        self._definitions = definitions or Definitions()
        self._defined: set[str] = set()

    def define(self, name: str, lines: Iterable[str]) -> str:
        found = self._definitions.add(name, lines, self.taken - self._defined)
        self._defined.add(found)
        self.taken.add(found)
        return found

    def assign(self, name: str, expression: str) -> str:
        free, number = name, 1
        while free in self.taken:
            number += 1
            free = f"{name}_{number}"
        self.taken.add(free)
        self.lines.append(f"{free} = {expression}")
        return free

    def give(self, entries: Iterable[tuple[str, str]]) -> None:
        """Return a dictionary: of one entry on one line, else, or where that is too long, an entry a line."""
        pairs: list[str] = []
        for name, value in entries:
            pair = f'"{name}": {value}'
            pairs.append(pair if len(pair) + 9 <= WIDTH else f'"{name}": {self.assign(variable(name), value)}')
        line = f"return {{{', '.join(pairs)}}}"
        if len(pairs) == 1 and len(line) + 4 <= WIDTH:
            self.lines.append(line)
        else:
            self.lines += ["return {", *(f"    {pair}," for pair in pairs), "}"]

    def text(self, name: str, parameters: Iterable[str], result: str, doc: str) -> list[str]:
        """The whole of it; a parameter is a tensor, or says itself what it is (`rate: float`)."""
        typed = [parameter if ":" in parameter else f"{parameter}: Tensor" for parameter in parameters]
        return [*_signature(name, typed, result), *docstring(doc, "    "), *(f"    {line}" for line in self.lines)]


def _signature(name: str, parameters: list[str], result: str) -> list[str]:
    line = f"def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    inside = f"    {', '.join(parameters)}"
    listed = [inside] if len(inside) <= WIDTH else [f"    {parameter}," for parameter in parameters]
    return [f"def {name}(", *listed, f") -> {result}:"]
