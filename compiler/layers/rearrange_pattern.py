"""The patterns of `rearrange`: `"b (h p) -> b h p"`, axes and groups of axes on either side of an arrow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_TOKEN = re.compile(r"\s*(->|\.\.\.|[()]|[A-Za-z_]\w*|\d+|\S)")
ONE = "1"
REST = "..."


class PatternFault(Exception):
    """A pattern that says nothing. `part` are the characters to blame, within the pattern."""

    def __init__(self, message: str, help: str, part: tuple[int, int]) -> None:
        super().__init__(message)
        self.message, self.help, self.part = message, help, part


@dataclass(frozen=True)
class PatternAxis:
    """One axis: a name, `1`, or `...` for all axes that the pattern does not say."""

    name: str
    part: tuple[int, int]


@dataclass(frozen=True)
class Group:
    """One axis of a tensor, made of these: several, or none, where they stand in parentheses."""

    axes: tuple[PatternAxis, ...]
    part: tuple[int, int]


@dataclass(frozen=True)
class Pattern:
    """Both sides of the arrow."""

    left: tuple[Group, ...]
    right: tuple[Group, ...]

    @property
    def axes(self) -> tuple[PatternAxis, ...]:
        """Those of the left side, in their order."""
        return tuple(named(self.left))


def named(side: tuple[Group, ...]) -> Iterator[PatternAxis]:
    """The axes of a side that have a name."""
    return (axis for group in side for axis in group.axes if axis.name != ONE)


@cache
def parse(text: str) -> Pattern:
    """Raises PatternFault: a bracket that is not closed, an axis that comes twice or on one side only."""
    tokens = [(found[1], found.span(1)) for found in _TOKEN.finditer(text)]
    arrows = [place for place, (token, _) in enumerate(tokens) if token == "->"]
    if len(arrows) != 1:
        part = (0, len(text)) if not arrows else tokens[arrows[1]][1]
        how_many = "no arrow" if not arrows else "more than one arrow"
        raise PatternFault(f"the pattern has {how_many}", 'it says before and after: `"b (h p) -> b h p"`', part)
    pattern = Pattern(_side(tokens[: arrows[0]]), _side(tokens[arrows[0] + 1 :]))
    _check_names(pattern)
    return pattern


def _side(tokens: list[tuple[str, tuple[int, int]]]) -> tuple[Group, ...]:
    groups: list[Group] = []
    inside: list[PatternAxis] | None = None
    opened = (0, 0)
    for token, part in tokens:
        if token == "(":
            if inside is not None:
                raise PatternFault("parentheses lie in parentheses here", "one axis is split once", part)
            inside, opened = [], part
        elif token == ")":
            if inside is None:
                raise PatternFault("this closes nothing", "take it out, or open it before", part)
            groups.append(Group(tuple(inside), (opened[0], part[1])))
            inside = None
        else:
            axis = _axis(token, part, inside=inside is not None)
            if inside is None:
                groups.append(Group((axis,), part))
            else:
                inside.append(axis)
    if inside is not None:
        raise PatternFault("this is never closed", "write `)` where the axis ends", opened)
    return tuple(groups)


def _axis(token: str, part: tuple[int, int], *, inside: bool) -> PatternAxis:
    if token == REST and inside:
        raise PatternFault("`...` stands for whole axes", "write it outside parentheses", part)
    if token.isdecimal() and token != ONE:
        raise PatternFault(f"an axis is called `{token}`", f"give it a name, and `name = {token}` behind", part)
    if not (token in (REST, ONE) or token.isidentifier()):
        raise PatternFault(f"`{token}` means nothing in a pattern", "it has names of axes, `( )`, `1` and `->`", part)
    return PatternAxis(token, part)


def _check_names(pattern: Pattern) -> None:
    for side in (pattern.left, pattern.right):
        counts = Counter(axis.name for axis in named(side))
        for axis in list(named(side))[::-1]:
            if counts[axis.name] > 1:
                raise PatternFault(f"`{axis.name}` comes twice on one side", "each axis has its own name", axis.part)
    left, right = ({axis.name for axis in named(side)} for side in (pattern.left, pattern.right))
    for axis in named(pattern.right):
        if axis.name not in left:
            help = "rearrange makes no entries: take it out, or write 1 for a new axis"
            raise PatternFault(f"`{axis.name}` is not on the left side", help, axis.part)
    for axis in named(pattern.left):
        if axis.name not in right:
            help = f"name it there too; to be rid of it, average it: `mean(over = {axis.name})`"
            if axis.name == REST:
                help = "write `...` there too"
            raise PatternFault(f"`{axis.name}` is not on the right side", help, axis.part)
