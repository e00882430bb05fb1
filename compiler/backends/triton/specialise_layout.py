"""A function of a template as text, laid out as `ruff format` does: each statement on a line, and broken from there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import libcst as cst

from ..pytorch.layout import WIDTH, fit
from .specialise_text import condition_text, line_text, text
from .specialise_tree import Statement, statements

_INDENT = "    "


def function_text(function: cst.FunctionDef) -> str:
    """The function with its decorators, without a line end."""
    parameters = ", ".join(_parameter(p) for p in function.params.params)
    lines = [f"@{text(d.decorator)}" for d in function.decorators]
    lines += fit(f"def {function.name.value}({parameters}):")
    return "\n".join([*lines, *_suite(statements(function), _INDENT)])


def _parameter(parameter: cst.Param) -> str:
    name, annotation = parameter.name.value, parameter.annotation
    return name if annotation is None else f"{name}: {text(annotation.annotation)}"


def definition_text(lines: Sequence[cst.SimpleStatementLine]) -> str:
    """A constant of the module with its docstring, or imports."""
    return "\n".join(part for line in lines for part in _statement(line, ""))


def comment(about: str) -> str:
    """Text as a comment, refilled where it is too wide."""
    return "\n".join(f"# {line}".rstrip() for line in _filled(about.strip().splitlines(), WIDTH - 2))


def _suite(suite: Sequence[Statement], indent: str) -> Iterator[str]:
    for i, statement in enumerate(suite):
        for part in _leading(statement.leading_lines, indent):
            if part or i:
                yield part
        yield from _statement(statement, indent)


def _leading(lines: Sequence[cst.EmptyLine], indent: str) -> list[str]:
    """Comments above a statement, and a blank line at most before each."""
    found: list[str] = []
    comments: list[str] = []
    for line in [*lines, None]:
        if line is not None and line.comment is not None:
            comments.append(line.comment.value.removeprefix("#").strip())
            continue
        found += [f"{indent}# {part}" for part in _filled(comments, WIDTH - len(indent) - 2)]
        comments = []
        if line is not None and found[-1:] != [""]:
            found.append("")
    return found


def _statement(statement: Statement, indent: str) -> Iterator[str]:
    match statement:
        case cst.If():
            yield from _choice(statement, indent, "if")
        case cst.For(target=target, iter=source):
            yield from fit(f"{indent}for {text(target)} in {condition_text(source)}:")
            yield from _suite(statements(statement), indent + _INDENT)
        case cst.While(test=test):
            yield from fit(f"{indent}while {condition_text(test)}:")
            yield from _suite(statements(statement), indent + _INDENT)
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() as string)]):
            yield from _docstring(string, indent)
        case cst.SimpleStatementLine(body=[line], trailing_whitespace=trailing):
            note = trailing.comment.value if trailing.comment is not None else ""
            note = "" if note == "# fmt: skip" else f"  {note}"
            yield from fit(f"{indent}{line_text(line)}{note}".rstrip())


def _choice(node: cst.If, indent: str, word: str) -> Iterator[str]:
    yield from fit(f"{indent}{word} {condition_text(node.test)}:")
    yield from _suite(statements(node), indent + _INDENT)
    match node.orelse:
        case cst.If() as other:
            yield from _choice(other, indent, "elif")
        case cst.Else() as other:
            yield f"{indent}else:"
            yield from _suite(statements(other), indent + _INDENT)


def _docstring(string: cst.SimpleString, indent: str) -> Iterator[str]:
    first, *rest = string.raw_value.strip().splitlines()
    if not rest and len(indent) + len(first) + 6 <= WIDTH:
        yield f'{indent}"""{first}"""'
        return
    # A single line would take the closing quotes in: it is filled as if they stood there.
    room = WIDTH - len(indent) - (0 if rest else 3)
    lines = _filled([f'"""{first}', *textwrap.dedent("\n".join(rest)).splitlines()], room)
    yield from (f"{indent}{line}".rstrip() for line in lines)
    yield f'{indent}"""'


def _filled(lines: Sequence[str], width: int) -> list[str]:
    """The lines, each paragraph with one that is too wide filled anew; one that is set in stays as it is."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    filled: list[str] = []
    for i, paragraph in enumerate(paragraphs):
        if any(len(line) > width for line in paragraph) and not paragraph[0].startswith(" "):
            paragraph = textwrap.wrap(" ".join(paragraph), width, break_long_words=False, break_on_hyphens=False)
        filled += ["", *paragraph] if i else paragraph
    return filled
