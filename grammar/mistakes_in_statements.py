"""Statements of other languages that have a form of their own here: loops, choices, assignments to an object."""

from __future__ import annotations

from collections.abc import Sequence

from .diagnostics import Diagnostic, Fix
from .fault import Fault, Outcome, Repair
from .mistakes_in_heads import CHOICE
from .tokens import NEWLINE, Token


def choice(fault: Fault) -> Outcome | None:
    """`if c { f } else { g }` is read as `{ f } if c else { g }`."""
    if fault.place or fault.token.kind != "if":
        return None
    stream, brace = fault.stream, _brace(fault)
    close = None if brace is None else fault.closing(brace)
    if brace is None or close is None or brace == fault.at + 1:
        return None
    condition, then = stream[fault.at + 1 : brace], stream[brace : close + 1]
    end, otherwise = close, [_word("identity", then[-1])]
    at = close + 1 + (stream[close + 1].kind == NEWLINE)
    if [token.kind for token in stream[at : at + 2]] == ["else", "{"]:
        other = fault.closing(at + 1)
        if other is None:
            return None
        end, otherwise = other, stream[at + 1 : other + 1]
    tokens = (*then, _word("if", fault.token), *condition, _word("else", then[-1]), *otherwise)
    repair = Repair(0, end + 1 - fault.at, tokens)
    if not fault.fits(repair, 1):
        return None
    better = f"{_body(fault, then)} if {_text(fault, condition)} else {_body(fault, otherwise)}"
    return _instead(fault, "a choice stands behind what is chosen: `a if c else b`", end, better), repair


def loop(fault: Fault) -> Outcome | None:
    """`for i in range(n) { }` is read as `repeat(n, index = i) { }`."""
    brace = _brace(fault) if fault.place == 1 and fault.head.text == "for" else None
    if brace is None:
        return None
    end = fault.closing(brace) or brace
    head, body = fault.stream[fault.at : brace], fault.stream[brace : end + 1]
    if len(head) < 6 or [token.text for token in head[1:4]] != ["in", "range", "("] or head[-1].kind != ")":
        return None
    count, name = head[4:-1], head[0]
    if any(token.kind == "," for token in count):
        return None
    index: tuple[Token, ...] = ()
    if any(token.text == name.text for token in body):
        index = (Token(",", ",", name.end, name.end), _word("index", name), Token("=", "=", name.end, name.end), name)
    repair = Repair(1, len(head), (_word("repeat", fault.head), head[3], *count, *index, head[-1]))
    if not fault.fits(repair, 1):
        return None
    better = f"repeat({_text(fault, count)}{f', index = {name.text}' if index else ''})"
    finding = _instead(fault, "copies are made by `repeat`", brace - 1, better)
    if body[0].text == ":":
        finding = _instead(fault, finding.message, end, f"{better} {_body(fault, body)}", better)
    return finding, repair


def assignment(fault: Fault) -> Outcome | None:
    """`self.head = Linear(10)` is read as `head: Linear(10)`."""
    before = fault.stream[fault.start : fault.at]
    if fault.token.kind != "=" or [token.text for token in before[:2]] != ["self", "."] or len(before) != 3:
        return None
    name, module = before[2], fault.after.kind == "TYPE"
    sign = ":" if module else "="
    repair = Repair(len(fault.tops), 1, (name, Token(sign, sign, fault.token.start, fault.token.end)))
    if name.kind != "NAME" or not fault.reads_on(repair, fault.at, 2):
        return None
    better = f"{name.text}:" if module else f"{name.text} ="
    message = "a module is given its name by a label" if module else "a flow is given its name by `=` alone"
    return _instead(fault, message, fault.at, better), repair


def option_of_a_path(fault: Fault) -> Outcome | None:
    """`optimizer.lr = 3`, `head.bias = false`: an option of what is made by another line."""
    before = fault.stream[fault.start : fault.at]
    path = [token.kind for token in before]
    if fault.token.kind != "=" or len(path) < 3 or path != ["NAME", "."] * (len(path) // 2) + ["NAME"]:
        return None
    end = next(i for i in range(fault.at, len(fault.stream)) if fault.stream[i].kind in (NEWLINE, "}"))
    value = _text(fault, fault.stream[fault.at + 1 : end]) if end > fault.at + 1 else "..."
    message = "an option is given in the call of what has it, not by a path"
    place = fault.source.span(before[0].start, before[-1].end)
    given = " =" if fault.section == "train" else ":"
    help_ = f"write it there: `{before[0].text}{given} ...({before[-1].text} = {value})`"
    return Diagnostic("wrong-sign", message, fault.span(), f"`{place.text}` is no name", help=help_), None


def _instead(fault: Fault, message: str, end: int, better: str, shown: str = "") -> Diagnostic:
    """The line up to the token at `end` is to be written otherwise."""
    head = fault.head
    whole = fault.source.span(head.start, fault.stream[end].end)
    shown = shown or better
    help_ = CHOICE if "\n" in shown else f"write `{shown}`"
    label = f"`{head.text}` is not a word of this language" if head.kind == "NAME" else f"`{head.text}` begins no line"
    return Diagnostic("foreign-word", message, fault.span(head), label, help=help_, fixes=(Fix(whole, better),))


def _word(text: str, near: Token) -> Token:
    return Token(text if text in ("if", "else") else "NAME", text, near.start, near.end)


def _brace(fault: Fault) -> int | None:
    """The index of the brace that opens on the line."""
    for i in range(fault.at, len(fault.stream)):
        if fault.stream[i].kind == "{":
            return i
        if fault.stream[i].kind in (NEWLINE, "}"):
            break
    return None


def _text(fault: Fault, tokens: Sequence[Token]) -> str:
    return fault.source.text[tokens[0].start : tokens[-1].end]


def _body(fault: Fault, tokens: Sequence[Token]) -> str:
    """A body as it is written, or in braces where it was not; a word that nobody wrote as it is."""
    if tokens[0].kind != "{":
        return tokens[0].text
    if tokens[0].text != ":":
        return _text(fault, tokens)
    line = fault.source.line(fault.source.position(fault.head.start)[0])
    lead = line[: len(line) - len(line.lstrip())]
    return f"{{{_text(fault, tokens)[1:]}\n{lead}}}"
