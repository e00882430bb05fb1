"""Lines: which newlines end a statement, on a stream whose brackets match."""

from __future__ import annotations

from .diagnostics import Diagnostic, Fix
from .source import Source
from .tables import END
from .tokens import NEWLINE, Token

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}


def statements(source: Source, stream: list[Token]) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens without the newlines that end nothing: inside ( ) and [ ], and before a line that begins with `->`.

    A newline and the end of the file close the list, so that the last statement ends like any other. A `;` becomes
    what its writer meant by it.
    """
    out: list[Token] = []
    findings: list[Diagnostic] = []
    brackets = ["{"]
    for at, token in enumerate(stream):
        kind = token.kind
        if kind == NEWLINE:
            if brackets[-1] == "{" and (not out or out[-1].kind != NEWLINE):
                out.append(token)
            continue
        if kind in OPENERS:
            brackets.append(kind)
        elif kind in CLOSERS:
            brackets.pop()
        elif kind == "->":
            if out and out[-1].kind == NEWLINE:
                out.pop()
        elif kind == "-":
            if out and out[-1].kind == NEWLINE:
                findings.append(_leading_minus(source, token))
        elif kind == ";":
            last = at + 1 == len(stream) or stream[at + 1].kind in (NEWLINE, "}")
            findings.append(_semicolon(source, token, brackets[-1], last))
            if brackets[-1] != "{":
                token = Token(",", token.text, token.start, token.end)
            elif last:
                continue
            else:
                token = Token(NEWLINE, token.text, token.start, token.end)
        out.append(token)
    end = len(source.text)
    if not out or out[-1].kind != NEWLINE:
        out.append(Token(NEWLINE, "", end, end))
    out.append(Token(END, "", end, end))
    return out, findings


def _semicolon(source: Source, token: Token, bracket: str, last: bool) -> Diagnostic:
    span = source.span(token.start, token.end)
    if bracket != "{":
        meant, text, help_ = "what stands in brackets is separated by commas", ",", "write `,`"
    elif last:
        meant, text, help_ = "a line ends without a sign", "", "leave it out"
    else:
        meant, text, help_ = "every line of a body stands on a line of its own", "\n", "begin a new line"
    return Diagnostic(
        "foreign-sign", meant, span, "`;` is not a sign of this language", help=help_, fixes=(Fix(span, text),)
    )


def _is_item(source: Source, token: Token) -> bool:
    """`- Linear(4)` as the first line of a body, or below another of that form."""
    number, _ = source.position(token.start)
    above = source.line(number - 1).strip() if number > 1 else ""
    return source.text[token.end : token.end + 1] == " " and (above.endswith("{") or above.startswith("- "))


def _leading_minus(source: Source, token: Token) -> Diagnostic:
    span = source.span(token.start, token.end)
    if _is_item(source, token):
        behind = source.text[token.end :]
        gap = source.span(token.start, token.end + len(behind) - len(behind.lstrip(" ")))
        message, label = "inside braces each line is a stage, without a sign in front", "a list in YAML or Markdown"
        return Diagnostic("leading-operator", message, span, label, help="leave it out", fixes=(Fix(gap, ""),))
    return Diagnostic(
        "leading-operator",
        "a line cannot begin with `-`",
        span,
        "at the beginning of the line",
        help="put it in parentheses; to subtract from the line above, put both lines in them",
    )
