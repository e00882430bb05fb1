"""Bodies as other languages write them, by a colon and indentation: read as if they stood in braces."""

from __future__ import annotations

from .diagnostics import Diagnostic, Fix
from .frozen import Frozen
from .layout import CLOSERS, OPENERS
from .source import Source
from .tokens import NEWLINE, Token

# Words that begin a line of other languages: they are told, and the colon with them.
_TOLD = frozenset({"if", "elif", "else", "for", "while", "class", "def", "switch", "match"})


class _Body(Frozen):
    """A body that is open: its colon, the first token of the line before it and that line's indentation."""

    colon: Token
    head: Token
    indent: int

    @property
    def of_label(self) -> bool:
        return self.head.kind == "NAME" and self.head.end == self.colon.start


def in_braces(source: Source, stream: list[Token]) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens with braces around the lines that stand deeper below a line that ends in `:`."""
    if not any(_ends_in_colon(stream, i) for i in range(len(stream))):
        return stream, []
    out: list[Token] = []
    findings: list[Diagnostic] = []
    bodies: list[_Body] = []
    brackets: list[str] = []
    head, indent = stream[0], 0
    for i, token in enumerate(stream):
        if token.kind != NEWLINE and out and out[-1].kind == NEWLINE and brackets[-1:] in ([], ["{"]):
            head, indent = token, _indent(out[-1])
            newline = out.pop()
            while bodies and indent <= bodies[-1].indent:
                _close(source, out, bodies.pop(), findings)
            out.append(newline)
        if token.kind in OPENERS:
            brackets.append(token.kind)
        elif token.kind in CLOSERS and brackets:
            brackets.pop()
        opens = _ends_in_colon(stream, i) and brackets[-1:] in ([], ["{"]) and _indent(stream[i + 1]) > indent
        body = _Body(token, head, indent)
        if not opens or body.of_label:
            out.append(token)
        if opens:
            bodies.append(body)
            out.append(Token("{", token.text, token.start, token.end))
    while bodies:
        _close(source, out, bodies.pop(), findings)
    return out, findings


def _ends_in_colon(stream: list[Token], i: int) -> bool:
    return stream[i].kind == ":" and i + 2 < len(stream) and stream[i + 1].kind == NEWLINE


def _indent(newline: Token) -> int:
    return len(newline.text) - newline.text.rfind("\n") - 1


def _close(source: Source, out: list[Token], body: _Body, findings: list[Diagnostic]) -> None:
    last = next(token for token in reversed(out) if token.kind != NEWLINE)
    out.append(Token("}", "", last.end, last.end))
    if body.head.text in _TOLD:
        return
    line = source.line(source.position(body.head.start)[0])
    lead = line[: len(line) - len(line.lstrip())]
    inside = source.text[body.colon.end : last.end]
    opener = ": {" if body.of_label else " {"
    findings.append(
        Diagnostic(
            "foreign-block",
            "a body stands in braces, whatever its indentation",
            source.span(body.colon.start, body.colon.end),
            "no `{` here",
            help=f"write `{{` here and `}}` below line {source.position(last.end)[0]}",
            fixes=(Fix(source.span(body.colon.start, last.end), f"{opener}{inside}\n{lead}}}"),),
        )
    )
