"""Text that knows where it may break, and the choice of its line breaks.

After Oppen (Prettyprinting, 1980) and Wadler (A prettier printer, 2003), with an explicit stack in place of recursion:
a group stays on one line where it fits, and breaks at all of its own breaks where it does not. Indentation counts
from the line on which a bracket opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

WIDTH = 120
INDENT = 2


@dataclass(frozen=True)
class Break:
    """`flat` where its group stays on one line, else a new line; with `always` a new line wherever it stands.

    `blank` puts an empty line above it.
    """

    flat: str = " "
    always: bool = False
    blank: bool = False


@dataclass(frozen=True)
class Joint:
    """A space where what follows fits up to the next joint, else a new line, whatever the other joints do."""


@dataclass(frozen=True)
class IfBroken:
    """Text that is there only where its group breaks."""

    text: str


@dataclass(frozen=True)
class Remark:
    """A comment at the end of a line. It takes no room; a break has to follow."""

    text: str


@dataclass(frozen=True)
class Nest:
    """Its new lines are one step deeper."""

    doc: Doc


@dataclass(frozen=True)
class Anchor:
    """Its new lines stand under the line on which it begins."""

    doc: Doc


@dataclass(frozen=True)
class Group:
    doc: Doc


Doc: TypeAlias = "str | list[Doc] | Break | Joint | IfBroken | Remark | Nest | Anchor | Group"

# What is still to be printed: the indentation of its new lines, whether it is on one line, and the document.
_Rest: TypeAlias = list[tuple[int, bool, Doc]]


@dataclass
class Line:
    code: str
    remark: str = ""


def render(doc: Doc) -> list[Line]:
    out: list[Line] = [Line("")]
    rest: _Rest = [(0, False, doc)]
    base = 0  # the indentation of the line that is being written
    while rest:
        indent, flat, doc = rest.pop()
        line = out[-1]
        match doc:
            case str():
                line.code += doc
            case list():
                rest.extend((indent, flat, part) for part in reversed(doc))
            case Group():
                rest.append((indent, flat or _fits(doc.doc, len(line.code), rest), doc.doc))
            case Nest():
                rest.append((indent + INDENT, flat, doc.doc))
            case Anchor():
                rest.append((base, flat, doc.doc))
            case IfBroken():
                line.code += "" if flat else doc.text
            case Remark():
                line.remark = doc.text
            case Joint() if flat or _fits(" ", len(line.code), rest, whole=True):
                line.code += " "
            case Break() if flat and not doc.always:
                line.code += doc.flat
            case _:
                if isinstance(doc, Break) and doc.blank:
                    out.append(Line(""))
                base = indent
                out.append(Line(" " * indent))
    return out


def _fits(doc: Doc, column: int, rest: _Rest, whole: bool = False) -> bool:
    """Whether a document fits on the current line together with what follows up to the first possible break.

    With `whole`, groups in what follows do not count as breakable: better a break at a joint than within a call.
    """
    todo: list[tuple[bool, Doc]] = [(True, doc)]
    following = len(rest)
    while column <= WIDTH:
        if not todo:
            if not following:
                return True
            following -= 1
            todo.append((rest[following][1], rest[following][2]))
        flat, doc = todo.pop()
        match doc:
            case str():
                column += len(doc)
            case list():
                todo.extend((flat, part) for part in reversed(doc))
            case Group():
                todo.append((flat or whole, doc.doc))
            case Nest() | Anchor():
                todo.append((flat, doc.doc))
            case Break():
                if doc.always or not flat:
                    return True
                column += len(doc.flat)
            case Joint():
                if not flat:
                    return True
                column += 1
            case _:
                pass
    return False


def text(lines: list[Line]) -> str:
    """The lines with the remarks of neighbouring lines in one column."""
    return "".join(f"{line}\n" for line in _aligned(lines))


def _aligned(lines: list[Line]) -> Iterator[str]:
    column = 0
    for i, line in enumerate(lines):
        if not line.remark:
            yield line.code.rstrip()
            continue
        if i == 0 or not lines[i - 1].remark or _indent(lines[i - 1]) != _indent(line):
            column = max(len(other.code) for other in _run(lines, i))
        yield f"{line.code:<{column}}  {line.remark}"


def _run(lines: list[Line], start: int) -> Iterator[Line]:
    for i in range(start, len(lines)):
        if not lines[i].remark or _indent(lines[i]) != _indent(lines[start]):
            return
        yield lines[i]


def _indent(line: Line) -> int:
    return len(line.code) - len(line.code.lstrip(" "))
