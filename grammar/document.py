"""Text that knows where it may break, and the choice of its line breaks.

After Oppen (Prettyprinting, 1980) and Wadler (A prettier printer, 2003), with an explicit stack in place of recursion:
a group stays on one line where it fits, and breaks at all of its own breaks where it does not. Braces are a group of
their own kind, which what is around them need not break for. Indentation counts from the line on which a bracket
opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
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
    """A space where what follows fits up to the next joint, else a new line, whatever the other joints do.

    Braces that could stay on one line go to a new line for it where they `last`, which is where the break will count
    as the author's when the text is laid out again; elsewhere they break themselves.
    """

    last: bool


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
    """On one line, or on one line but for the braces that it `hugs`, or broken at every break of its own."""

    doc: Doc
    hugs: bool = True


@dataclass(frozen=True)
class Braces:
    """A body: `flat` is its text on one line, if it may stand on one, `broken` on several, from brace to brace."""

    flat: Doc | None
    broken: Doc


Doc: TypeAlias = "str | list[Doc] | Break | Joint | IfBroken | Remark | Nest | Anchor | Group | Braces"


class _Mode(Enum):
    BROKEN = 0  # breaks are new lines
    FLAT = 1  # everything on one line
    HUG = 2  # on one line but for the braces, which stand on lines of their own


@dataclass
class Line:
    code: str
    remark: str = ""


# What is still to be printed: the indentation of its new lines, its mode and the document.
_Rest: TypeAlias = list[tuple[int, _Mode, Doc]]


def render(doc: Doc) -> list[Line]:
    out: list[Line] = [Line("")]
    rest: _Rest = [(0, _Mode.BROKEN, doc)]
    base = 0  # the indentation of the line that is being written
    while rest:
        indent, mode, doc = rest.pop()
        line = out[-1]
        if isinstance(doc, str):  # most are, so it is asked before the others, as are lists
            line.code += doc
            continue
        if isinstance(doc, list):
            rest.extend([(indent, mode, part) for part in reversed(doc)])  # a generator takes longer
            continue
        match doc:
            case Group():
                rest.append((indent, _group_mode(doc, mode, len(line.code), base, rest), doc.doc))
            case Braces():
                flat = mode is _Mode.FLAT or (
                    mode is _Mode.BROKEN and _fits(doc, _Mode.FLAT, len(line.code), base, rest)
                )
                one_line = doc.flat if flat else None
                rest.append((indent, _Mode.BROKEN, doc.broken) if one_line is None else (indent, _Mode.FLAT, one_line))
            case Nest():
                rest.append((indent + INDENT, mode, doc.doc))
            case Anchor():
                rest.append((base, mode, doc.doc))
            case IfBroken():
                line.code += doc.text if mode is _Mode.BROKEN else ""
            case Remark():
                line.remark = doc.text
            case Joint() if mode is not _Mode.BROKEN or _follows(doc, len(line.code), rest):
                line.code += " "
            case Break() if mode is not _Mode.BROKEN and not doc.always:
                line.code += doc.flat
            case _:
                if isinstance(doc, Break) and doc.blank:
                    out.append(Line(""))
                base = indent
                out.append(Line(" " * indent))
    return out


def _group_mode(group: Group, outer: _Mode, column: int, base: int, rest: _Rest) -> _Mode:
    if outer is _Mode.FLAT:
        return outer
    modes = (_Mode.FLAT, _Mode.HUG) if group.hugs else (_Mode.FLAT,)
    return next((mode for mode in modes if _fits(group.doc, mode, column, base, rest)), _Mode.BROKEN)


def _fits(doc: Doc, mode: _Mode, column: int, base: int, rest: _Rest) -> bool:
    """Whether a document fits in a mode, together with what follows up to the first possible break.

    Laying a text out a second time has to give the same answers, when braces that broke the first time stand on
    several lines for good: so braces count alike in HUG whether they could stand on one line or not.
    """
    todo: list[tuple[_Mode, Doc]] = [(mode, doc)]
    following = len(rest)
    within = True
    while column <= WIDTH:
        if not todo:
            if not following:
                return True
            following -= 1
            within = False
            todo.append(rest[following][1:])
        mode, doc = todo.pop()
        match doc:
            case str():
                column += len(doc)
            case list():
                todo.extend([(mode, part) for part in reversed(doc)])
            case Group() | Nest() | Anchor():
                todo.append((mode, doc.doc))
            case Braces() if mode is _Mode.FLAT:
                if doc.flat is None:
                    return False
                todo.append((mode, doc.flat))
            case Braces():
                if not within:
                    return column < WIDTH
                if column == WIDTH:
                    return False
                column = base + 1
            case Break() if doc.always:
                return not within
            case Break() | Joint() if mode is _Mode.BROKEN:
                return True
            case Break():
                column += len(doc.flat)
            case Joint():
                column += 1
            case _:
                pass
    return False


def _follows(joint: Joint, column: int, rest: _Rest) -> bool:
    """Whether what comes behind a joint fits on its line up to the next joint."""
    column += 1
    todo: list[tuple[bool, Doc]] = []  # whether in a group, and what is to be measured
    following = len(rest)
    while column <= WIDTH:
        if not todo:
            if not following:
                return True
            following -= 1
            todo.append((rest[following][1] is not _Mode.BROKEN, rest[following][2]))
        grouped, doc = todo.pop()
        match doc:
            case str():
                column += len(doc)
            case list():
                todo.extend([(grouped, part) for part in reversed(doc)])
            case Group():
                todo.append((True, doc.doc))
            case Nest() | Anchor():
                todo.append((grouped, doc.doc))
            case Braces():
                if doc.flat is None or not joint.last:
                    return column < WIDTH
                todo.append((True, doc.flat))
            case Break() if doc.always or not grouped:
                return True
            case Break():
                column += len(doc.flat)
            case Joint():
                if not grouped:
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
        if i == 0 or not _neighbours(lines[i - 1], line):
            stop = next((j for j in range(i + 1, len(lines)) if not _neighbours(lines[j - 1], lines[j])), len(lines))
            column = max(len(other.code) for other in lines[i:stop])
        yield f"{line.code:<{column}}  {line.remark}"


def _neighbours(above: Line, below: Line) -> bool:
    """Whether two lines have their remarks in one column."""
    same_indent = len(above.code) - len(above.code.lstrip()) == len(below.code) - len(below.code.lstrip())
    return bool(above.remark and below.remark and same_indent and not below.code.endswith("{"))
