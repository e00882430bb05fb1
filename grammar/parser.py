"""Tokens to a syntax tree: the LALR(1) automaton of tables.json, with nodes made as rules complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import tree
from .brackets import balanced
from .depth import bounded
from .diagnostics import Diagnostic, in_source_order
from .dictionaries import in_constants
from .header import read_header
from .indented import in_braces
from .layout import statements
from .lexer import keywords, tokens
from .nodes import makers
from .reader import not_text
from .settings import with_settings
from .source import Source, Span
from .tables import END, tables
from .tokens import NEWLINE, WRONG, Token

if TYPE_CHECKING:
    from .fault import Repair

# What is on the parser's stack: state, value, start and end of the text that it was read from.
Entry = tuple[int, Any, int, int]

# Enough to place a group whose head is faulty where a file wants an item, so that its lines are read all the same.
_BLOCK, _NAMELESS = Token("block", "", 0, 0), Token("TYPE", "", 0, 0)
# Heads that need no more than a name, and those that are read as a block's where more of them is faulty.
_SECTIONS, _PIECES = frozenset({"train", "export"}), frozenset({"block", "model"})


def parse(source: Source) -> tuple[tree.File, list[Diagnostic]]:
    """The syntax tree of a file and what is wrong with its text, in source order.

    What has a fault that nothing simple mends is `Unread` in the tree, or missing: a whole line of a file, a head's
    signature. All else is in it.
    """
    if (binary := not_text(source)) is not None:
        whole = source.span(0, len(source.text))
        return tree.File(None, (), (whole,), span=whole), [binary]
    words, findings = tokens(source)
    file, faults = _read(source, words)
    if faults:
        # Brackets may match by the accident of two faults; then the layout explains the text no worse.
        file, faults = min(_read(source, words, doubt=True), (file, faults), key=lambda read: len(read[1]))
    if file.version is None:
        from .other_format import other_format  # what begins as a spec does, does not wait for it

        if (other := other_format(source)) is not None:
            return tree.File(None, (), (file.span,), span=file.span), [other]
    return file, in_source_order([*findings, *faults])


def _read(source: Source, words: list[Token], doubt: bool = False) -> tuple[tree.File, list[Diagnostic]]:
    words, dictionaries, fields = in_constants(source, words)
    words, indented = in_braces(source, words)
    words, mismatched = balanced(source, words, doubt)
    stream, misplaced = statements(source, words)
    stream, version, header = read_header(source, stream)
    stream, deep, dropped = bounded(source, stream)
    parser = _Parser(source, stream)
    _, *items = parser.run()
    unread, whole = (*dropped, *fields, *parser.unread), source.span(0, len(source.text))
    file = tree.File(version, with_settings(items, parser.findings), unread, span=whole)
    return file, [*dictionaries, *indented, *mismatched, *misplaced, *header, *deep, *parser.findings]


@dataclass(slots=True)
class _Line:
    """A line that is being read: where it begins on the stack and in the stream.

    Of one with a fault, `kept` is how much of the stack is right, `unread` where it begins in the text, and `depth` how
    many brackets it has open. `aside` marks the lines of a group in such a line: they are read for their
    faults only.
    """

    height: int
    start: int
    kept: int = 0
    unread: int = 0
    depth: int = 0
    aside: bool = False


class _Parser:
    def __init__(self, source: Source, stream: list[Token]) -> None:
        t = tables()
        table = makers(source)
        self.source = source
        self.stream = stream
        self.actions, self.gotos, self.rules, self.final = t.actions, t.gotos, t.rules, t.final
        self.make = [table.get(rule.node or "") for rule in t.rules]
        self.stack: list[Entry] = [(0, None, 0, 0)]
        self.lines = [_Line(1, 0)]
        self.findings: list[Diagnostic] = []
        self.unread: list[Span] = []

    def run(self) -> list[Any]:
        stream = self.stream
        i = 0
        while i < len(stream):
            if not self.feed(stream[i]):
                i = self.recover(i)
                continue
            kind = stream[i].kind
            i += 1
            if kind == "{":
                self.lines.append(_Line(len(self.stack), i))
            elif kind == "}":
                if self.lines.pop().aside:
                    i = self.skip(i)
            elif kind == NEWLINE:
                line = self.lines[-1]
                line.height, line.start = len(self.stack), i
        return self.stack[-1][1]

    def feed(self, token: Token) -> bool:
        """Shifts a token after the reductions that it allows. False, and nothing changed, where it cannot stand."""
        stack, actions, gotos = self.stack, self.actions, self.gotos
        kind = token.kind
        undo: list[list[Entry]] = []
        while True:
            state, value, start, end = stack[-1]
            action = actions[state].get(kind)
            if action is None:
                for entries in reversed(undo):
                    stack.pop()
                    stack.extend(entries)
                return False
            if action >= 0:
                stack.append((action, token, token.start, token.end))
                return True
            rule = self.rules[~action]
            length = rule.length
            popped = stack[-length:]
            del stack[-length:]
            undo.append(popped)
            make = self.make[~action]
            if make is not None:
                start = popped[0][2]
                value = make(_children(rule.children, popped), start, end)
            elif rule.node is not None:
                # A helper's value is a chain, the last child outermost, so that growing it copies nothing.
                start = popped[0][2]
                first, own = rule.children[0], rule.children[-1]
                assert first is not None and own is not None
                value = (popped[~first][1] if first < 0 else None, popped[own][1])
            elif length > 1:
                start, value = popped[0][2], popped[rule.children[0] or 0][1]
            state = gotos[stack[-1][0]][rule.symbol]
            stack.append((state, value, start, end))
            if state == self.final and kind == END:
                return True

    def recover(self, i: int) -> int:
        """Reports the token at `i`, mends the line or leaves it out; the index at which to go on."""
        # Most files have no fault: what knows about faults is not even loaded for them.
        from .fault import Fault
        from .mistakes import explain

        line = self.lines[-1]
        section = self.stream[self.lines[0].start].kind
        fault = Fault(self.source, self.stream, i, line.start, len(self.lines) > 1, section, self.tops(), self.fits)
        finding, repair = explain(fault)
        if finding is not None:
            self.findings.append(finding)
        if repair is None:
            self.give_up(i)
            return self.skip(i)
        if repair.back:
            del self.stack[-repair.back :]
        if repair.swap:
            at, token = repair.swap
            self.stream[at] = token
        if len(repair.tokens) == repair.skip or any(token.kind == "{" for token in repair.tokens):
            self.stream[i : i + repair.skip] = repair.tokens
            return i
        # Read at once, since putting them into a long stream takes long.
        for token in repair.tokens:
            self.feed(token)
        return i + repair.skip

    def give_up(self, i: int) -> None:
        """Leaves out what was read of the current line, but for the name and the `=` that it begins with."""
        line = self.lines[-1]
        entries = self.stack[line.height :]
        kinds = [value.kind if isinstance(value, Token) else "" for _, value, _, _ in entries]
        own = 2 if kinds[:2] == ["NAME", "="] else 3 if kinds[:3] == ["NAME", "", "="] else 0
        line.kept = line.height + own
        line.unread = entries[0][2] if entries else self.stream[i].start
        line.depth = sum((kind in ("(", "[")) - (kind in (")", "]")) for kind in kinds[own:])

    def skip(self, i: int) -> int:
        """Leaves out the rest of the current line, though not the lines in its braces, nor the names behind `as`."""
        line, first = self.lines[-1], i
        del self.stack[line.kept :]
        while True:
            token = self.stream[i]
            kind = token.kind
            if kind in (END, "}", NEWLINE):
                break
            if kind == "{":
                in_file = len(self.lines) == 1 and line.kept == line.height
                aside = not (in_file and self.keep_head(i))
                self.feed(token)
                self.lines.append(_Line(len(self.stack), i + 1, aside=aside))
                return i + 1
            if kind == "as" and i > first and not line.depth and self.stream[i + 1].kind == "NAME":
                break
            line.depth += (kind in ("(", "[")) - (kind in (")", "]"))
            i += 1
        self.leave_gap(i)
        if kind != NEWLINE or NEWLINE in self.actions[self.stack[-1][0]]:
            return i
        line.start = i + 1
        return i + 1

    def leave_gap(self, i: int) -> None:
        """Notes what is left out up to the token at `i`; where a flow can stand, an `Unread` one takes its place."""
        line = self.lines[-1]
        span = self.source.span(line.unread, max(line.unread, self.stream[i - 1].end))
        self.unread.append(span)
        state = self.gotos[self.stack[-1][0]].get("flow")
        # What begins with a keyword is no stage: the running value passes it by.
        if state is not None and (line.kept > line.height or self.stream[line.start].kind not in keywords()):
            unread = tree.Unread(tree.Path((tree.UNREAD,), span=span), span=span)
            self.stack.append((state, unread, span.start, span.end))

    def keep_head(self, i: int) -> bool:
        """Feeds a head for the brace at `i` where the one that is written is faulty; whether its body has a name then.

        A model or block of which only the name is sure is read as a block, whose parameters are all names of its head.
        """
        head = self.stream[self.lines[-1].start : i]
        named = len(head) > 1 and head[1].kind == "TYPE" and head[0].kind in _SECTIONS | _PIECES
        if named and head[0].kind in _SECTIONS:
            kept = head[:2]
        elif named:
            names = {token.text: token for token in head if token.kind == "NAME"}
            place, end = head[0].start, head[-1].end
            comma = Token(",", "", end, end)
            params = [part for name in names.values() for part in (name, comma)]
            opener, closer = Token("(", "", end, end), Token(")", "", end, end)
            kept = [Token("block", "", place, place), head[1], opener, *params, closer]
        else:
            kept = [_BLOCK, _NAMELESS]
        for token in kept:
            self.feed(token)
        if named:
            self.unread.append(self.source.span(head[0].start, head[-1].end))
        return named

    def fits(self, repair: Repair, at: int, ahead: int) -> bool:
        """Whether the repaired line can be read on for `ahead` tokens at least."""
        states = [entry[0] for entry in self.stack[: len(self.stack) - repair.back]]
        for token in repair.tokens:
            if not self.accepts(states, token.kind):
                return False
        for i in range(at + repair.skip, min(at + repair.skip + ahead, len(self.stream))):
            token = repair.swap[1] if repair.swap and repair.swap[0] == i else self.stream[i]
            if not self.accepts(states, token.kind):
                return token.kind == WRONG
            if token.kind == NEWLINE:
                break
        return True

    def accepts(self, states: list[int], kind: str) -> bool:
        """Takes a token on a stack of states alone."""
        while True:
            action = self.actions[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                states.append(action)
                return True
            rule = self.rules[~action]
            del states[-rule.length :]
            states.append(self.gotos[states[-1]][rule.symbol])
            if kind == END and states[-1] == self.final:
                return True

    def tops(self) -> list[Token | None]:
        """The stack's values from the line's start on: its tokens, None for what is complete already."""
        return [v if isinstance(v, Token) else None for _, v, _, _ in self.stack[self.lines[-1].height :]]


def _children(places: tuple[int | None, ...], popped: list[Entry]) -> list[Any]:
    children: list[Any] = []
    for place in places:
        if place is None:
            children.append(None)
        elif place >= 0:
            children.append(popped[place][1])
        else:
            chain, own = popped[~place][1], []
            while chain is not None:
                chain, last = chain
                own.append(last)
            children.extend(reversed(own))
    return children
