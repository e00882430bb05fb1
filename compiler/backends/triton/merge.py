"""What several variants in a file of kernels have alike, once: Triton would compile it as often as it stands there.

Functions, classes, tables and operators are alike where their texts are, but for their own names and how they are laid
out, and what they call is the same. The first of them stays, under the shortest of their names.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from .numbering import OPERATORS

_NAME = re.compile(r"(?<![\w.])(operators\.)?([A-Za-z_]\w*)")
_SCHEMA = re.compile(r'^operator\(\s*"(\w+)\(', re.MULTILINE)
_NUMBER = re.compile(r"_\d+$")
_OWN = "own_name"


@dataclass(frozen=True)
class Alike:
    """`gone` says of each statement of each text whether one before it serves for it, `instead` what goes by another
    name: operators with what stands before them."""

    gone: tuple[tuple[bool, ...], ...]
    instead: Mapping[str, str]


def alike(texts: Sequence[str], called: Collection[str]) -> Alike:
    """Of the texts of one file, in their order. `called` are names that stay, since models call them."""
    stays: dict[str, str] = {}
    tables: set[tuple[str, str]] = set()
    instead: dict[str, str] = {}
    gone: list[tuple[bool, ...]] = []
    for text in texts:
        found: list[bool] = []
        places = {1}
        for part, name in _parts(text):
            key = _key(part, name, instead)
            if _is_table(part, name):
                # Kernels that differ are tuned apart; those that are gone have the table of what serves for them.
                number = max(places)
                other = _NUMBER.sub("", name) + (f"_{number}" if number > 1 else "")
                first = other if all(found) and (other, key) in tables else name
                tables.add((first, key))
            else:
                first = stays.setdefault(key, name)
            found.append(first != name and name not in called)
            if found[-1]:
                instead[name] = first
                places.add(_number(first))
        gone.append(tuple(found))
    return Alike(tuple(gone), _shortest(instead))


def _number(name: str) -> int:
    """Of the variant that a name is of."""
    found = _NUMBER.search(name)
    return int(found[0][1:]) if found else 1


def _is_table(part: str, name: str) -> bool:
    return re.search(rf"^{name} = {{", part, re.MULTILINE) is not None


def without(text: str, gone: Sequence[bool]) -> str:
    """What is left of a text, with as many lines between its statements as before."""
    found, lines = "", 0
    for (part, _), is_gone in zip(_parts(text), gone, strict=True):
        lines = max(lines, len(part) - len(part.lstrip("\n")))
        if not is_gone:
            found, lines = found + "\n" * lines + part.lstrip("\n"), 0
    return found


def _shortest(instead: Mapping[str, str]) -> dict[str, str]:
    """With the shortest name for each group, the first among such."""
    groups: dict[str, list[str]] = {}
    for name, first in instead.items():
        groups.setdefault(first, [first]).append(name)
    found: dict[str, str] = {}
    for names in groups.values():
        best = min(names, key=len)
        found |= {name: best for name in names if name != best}
    return found


@lru_cache(maxsize=512)
def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """Each statement with what stands before it, and its name."""
    return tuple(_split(text))


def _split(text: str) -> Iterator[tuple[str, str]]:
    lines, begun = text.splitlines(keepends=True), 0
    body = ast.parse(text).body
    for node, behind in zip_longest(body, body[1:]):
        if _is_prose(node):
            continue
        last = behind if _is_prose(behind) else node  # what is said of a constant stands behind it
        assert last.end_lineno is not None
        part, begun = "".join(lines[begun : last.end_lineno]), last.end_lineno
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
                yield part, name
            case ast.Expr(value=ast.Call(args=[ast.Constant(value=str(schema)), *_])):
                yield part, f"{OPERATORS}{schema.partition('(')[0]}"
            case _:
                raise AssertionError(ast.unparse(node))


def _is_prose(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _key(part: str, name: str, instead: Mapping[str, str]) -> str:
    """What a statement says, names that are gone replaced, its own left out, however its lines are broken."""

    def known(found: re.Match[str]) -> str:
        whole = found[0]
        return own if whole == name else instead.get(whole, whole)

    own = _OWN
    if re.search(rf"^{name} = (?!constant\(\d+\.)", part, re.MULTILINE):
        # Whole numbers are equal by chance, and tables by their default: they go by their names, too.
        own = _NUMBER.sub("", name)

    return " ".join(_NAME.sub(known, _said(part)).split())


@lru_cache(maxsize=4096)
def _said(part: str) -> str:
    schema = _SCHEMA.search(part)
    if schema is not None:
        part = part[: schema.start(1)] + _OWN + part[schema.end(1) :]
    tokens = tokenize.generate_tokens(io.StringIO(part).readline)
    comments = [token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT]
    return " ".join([*comments, ast.unparse(ast.parse(part))])
