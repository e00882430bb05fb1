"""Tokens to a syntax tree: the LALR(1) automaton of tables.json, with nodes made as rules complete."""

from __future__ import annotations

from typing import Any

from . import tree
from .diagnostics import Diagnostic, Fix
from .lexer import NEWLINE, Token, statements, tokens
from .nodes import makers
from .source import Source
from .tables import END, Rule, tables

# What is on the parser's stack: state, value, start and end of the text it was read from.
Entry = tuple[int, Any, int, int]


class _Parser:
    def __init__(self, source: Source, stream: list[Token]) -> None:
        t = tables()
        self.source = source
        self.stream = stream
        self.actions, self.gotos, self.rules, self.final = t.actions, t.gotos, t.rules, t.final
        table = makers(source)
        self.make = [None if r.node is None or r.node.startswith("__") else table[r.node] for r in t.rules]
        self.stack: list[Entry] = [(0, None, 0, 0)]
        # Where to take up again after a fault: the stack's height at the start of the current line, by brace depth.
        self.lines = [1]
        self.diagnostics: list[Diagnostic] = []

    def feed(self, token: Token) -> bool:
        """Shifts a token after the reductions that it allows; False where it cannot stand here."""
        stack, actions = self.stack, self.actions
        kind = token.kind
        while True:
            action = actions[stack[-1][0]].get(kind)
            if action is None:
                return False
            if action >= 0:
                stack.append((action, token, token.start, token.end))
                return True
            self.reduce(~action)
            if kind == END and stack[-1][0] == self.final:
                return True

    def reduce(self, number: int) -> None:
        rule, stack = self.rules[number], self.stack
        length = rule.length
        if length == 1:
            _, value, start, end = stack.pop()
            if rule.node is None:
                stack.append((self.gotos[stack[-1][0]][rule.symbol], value, start, end))
                return
            children = [] if not rule.children else _children(rule, [(0, value, start, end)])
        elif length:
            popped = stack[-length:]
            del stack[-length:]
            start, end = popped[0][2], popped[-1][3]
            children = _children(rule, popped)
        else:
            start = end = 0
            children = []
        make = self.make[number]
        if rule.node is None:
            value = children[0]
        elif make is None:
            value = children
        else:
            value = make(children, start, end)
        stack.append((self.gotos[stack[-1][0]][rule.symbol], value, start, end))

    def run(self) -> list[Any]:
        stream, lines = self.stream, self.lines
        i = 0
        while i < len(stream):
            token = stream[i]
            if not self.feed(token):
                if token.kind == END:
                    return [None]
                i = self.recover(i)
                continue
            if token.kind == "{":
                lines.append(len(self.stack))
            elif token.kind == "}":
                lines.pop()
            elif token.kind == NEWLINE:
                lines[-1] = len(self.stack)
            i += 1
        return self.stack[-1][1]

    def recover(self, i: int) -> int:
        token = self.stream[i]
        span = self.source.span(token.start, token.end)
        self.diagnostics.append(Diagnostic("syntax", f"unexpected {token.text.strip() or token.kind}", span))
        del self.stack[self.lines[-1] :]
        depth = 0
        while True:
            kind = self.stream[i].kind
            if kind == END:
                return i
            if kind in "([{":
                depth += 1
            elif kind in ")]}":
                if depth == 0 and kind == "}" and len(self.lines) > 1:
                    return i
                depth = max(0, depth - 1)
            elif kind == NEWLINE and depth == 0:
                if NEWLINE not in self.actions[self.stack[-1][0]]:
                    return i + 1
                return i
            i += 1


def _children(rule: Rule, popped: list[Entry]) -> list[Any]:
    children: list[Any] = []
    for place in rule.children:
        if place is None:
            children.append(None)
        elif place >= 0:
            children.append(popped[place][1])
        elif children:
            children.extend(popped[~place][1])
        else:
            # A helper's list has no other owner: it grows in place, and long files stay linear.
            children = popped[~place][1]
    return children


def parse(source: Source) -> tuple[tree.File, list[Diagnostic]]:
    """The syntax tree of a file and what is wrong with it, in source order."""
    stream = statements(tokens(source.text))
    diagnostics = []
    start = 1 if stream[0].kind == NEWLINE else 0
    if stream[start].kind != "dlspec":
        place = stream[start].start
        header = [Token("dlspec", "", place, place), Token("NUMBER", "1", place, place)]
        stream[:start] = [*header, Token(NEWLINE, "", place, place)]
        diagnostics.append(_missing_header(source))
    parser = _Parser(source, stream)
    version, *items = parser.run()
    found = parser.diagnostics
    file = tree.File(None if diagnostics else version, tuple(items), span=source.span(0, len(source.text)))
    return file, diagnostics + found


def _missing_header(source: Source) -> Diagnostic:
    start = 1 if source.text.startswith("\ufeff") else 0
    return Diagnostic(
        "missing-header",
        "the first line of a spec says the version of the language",
        source.span(start, start),
        "no version here",
        help="write `dlspec 1` above everything else",
        fixes=(Fix(source.span(start, start), "dlspec 1\n"),),
    )
