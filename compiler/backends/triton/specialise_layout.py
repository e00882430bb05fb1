"""A function of a template as text, laid out as `ruff format` does: each statement on a line, and broken from there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import libcst as cst

from ..pytorch.layout import WIDTH, fit

_INDENT = "    "


def function_text(function: cst.FunctionDef) -> str:
    """The function with its decorators, without a line end."""
    parameters = ", ".join(_line(p) for p in function.params.params)
    lines = [f"@{_line(d.decorator)}" for d in function.decorators]
    lines += fit(f"def {function.name.value}({parameters}):")
    return "\n".join([*lines, *_suite(function.body.body, _INDENT)])


def definition_text(lines: Sequence[cst.SimpleStatementLine]) -> str:
    """A constant of the module with its docstring, or imports."""
    return "\n".join(text for line in lines for text in _statement(line, ""))


def comment(text: str) -> str:
    """Text as a comment, refilled where it is too wide."""
    return "\n".join(f"# {line}".rstrip() for line in _filled(text.strip().splitlines(), WIDTH - 2))


def _suite(statements: Sequence[cst.BaseStatement], indent: str) -> Iterator[str]:
    for i, statement in enumerate(statements):
        for text in _leading(statement.leading_lines, indent):
            if text or i:
                yield text
        yield from _statement(statement, indent)


def _leading(lines: Sequence[cst.EmptyLine], indent: str) -> list[str]:
    """Comments above a statement, and a blank line at most before each."""
    found: list[str] = []
    comments: list[str] = []
    for line in [*lines, None]:
        if line is not None and line.comment is not None:
            comments.append(line.comment.value.removeprefix("#").strip())
            continue
        found += [f"{indent}# {text}" for text in _filled(comments, WIDTH - len(indent) - 2)]
        comments = []
        if line is not None and found[-1:] != [""]:
            found.append("")
    return found


def _statement(statement: cst.BaseStatement, indent: str) -> Iterator[str]:
    match statement:
        case cst.If():
            yield from _choice(statement, indent, "if")
        case cst.For(target=target, iter=source, body=body):
            yield from fit(f"{indent}for {_line(target)} in {_line(source)}:")
            yield from _suite(body.body, indent + _INDENT)
        case cst.While(test=test, body=body):
            yield from fit(f"{indent}while {_line(test)}:")
            yield from _suite(body.body, indent + _INDENT)
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() as string)]):
            yield from _docstring(string, indent)
        case cst.SimpleStatementLine(body=[line], trailing_whitespace=trailing):
            text = _line(_bare(line))
            note = trailing.comment.value if trailing.comment is not None else ""
            yield from fit(f"{indent}{text}  {note}".rstrip() if note != "# fmt: skip" else f"{indent}{text}")


def _choice(node: cst.If, indent: str, word: str) -> Iterator[str]:
    yield from fit(f"{indent}{word} {_line(node.test)}:")
    yield from _suite(node.body.body, indent + _INDENT)
    match node.orelse:
        case cst.If() as other:
            yield from _choice(other, indent, "elif")
        case cst.Else(body=body):
            yield f"{indent}else:"
            yield from _suite(body.body, indent + _INDENT)


def _docstring(string: cst.SimpleString, indent: str) -> Iterator[str]:
    text = textwrap.dedent(f"{indent}{string.raw_value}").strip().splitlines()
    first, *rest = text
    text = [first, *textwrap.dedent("\n".join(rest)).splitlines()]
    lines = _filled(text, WIDTH - len(indent))
    one = f'{indent}"""{text[0]}"""'
    if len(text) == 1 and len(one) <= WIDTH:
        yield one
        return
    lines = _filled([f'"""{first}', *text[1:]], WIDTH - len(indent))
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


def _bare(line: cst.BaseSmallStatement) -> cst.BaseSmallStatement:
    """The statement without the parentheses around all of its value, which a layout puts there as it needs them."""
    match line:
        case cst.Assign(value=value) | cst.AugAssign(value=value) | cst.Return(value=cst.BaseExpression() as value):
            if value.lpar and not isinstance(value, (cst.Tuple, cst.GeneratorExp)):
                return line.with_changes(value=value.with_changes(lpar=value.lpar[1:], rpar=value.rpar[:-1]))
    return line


def _line(node: cst.CSTNode) -> str:
    """A node on one line, whatever its own layout."""
    flat = node.visit(_Flat())
    return cst.Module([]).code_for_node(flat).strip()


class _Flat(cst.CSTTransformer):
    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:
        node = super().on_leave(original_node, updated_node)
        match node:
            case cst.ParenthesizedWhitespace():
                return cst.SimpleWhitespace("")
            case cst.Arg() | cst.Param() | cst.Element() | cst.SubscriptElement():
                return node.with_changes(comma=cst.MaybeSentinel.DEFAULT)
            case cst.BaseBinaryOp() | cst.BaseBooleanOp() | cst.BaseCompOp() if hasattr(node, "whitespace_before"):
                return node.with_changes(
                    whitespace_before=cst.SimpleWhitespace(" "), whitespace_after=cst.SimpleWhitespace(" ")
                )
        return node
