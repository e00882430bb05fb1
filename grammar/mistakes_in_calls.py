"""Brackets where none belong, calls and indices as other languages write them, signs left out between two values."""

from __future__ import annotations

from .diagnostics import Diagnostic, Fix, rewrite
from .fault import ITEMS, Fault, Outcome, Repair
from .layout import CLOSERS, OPENERS
from .tokens import NEWLINE, VALUES, Token


def labelled_parentheses(fault: Fault) -> Outcome | None:
    colon, opener = fault.raw(1), fault.token
    if opener.kind != "(" or colon is None or colon.kind != ":" or not fault.takes("{"):
        return None
    close = fault.closing()
    assert close is not None, "brackets match before parsing begins"
    closer = fault.stream[close]
    inside = fault.source.text[opener.end : closer.start]
    whole = fault.source.span(opener.start, closer.end)
    finding = Diagnostic(
        "wrong-bracket",
        "a label stands before one layer or before braces",
        fault.span(),
        "parentheses",
        help="write `{ ... }`",
        fixes=(Fix(whole, f"{{ {inside.strip()} }}"),),
    )
    swap = (close, Token("}", closer.text, closer.start, closer.end))
    return finding, Repair(0, 1, (Token("{", opener.text, opener.start, opener.end),), swap)


def type_in_parentheses(fault: Fault) -> Outcome | None:
    """`x: (B, 64)`."""
    opener, before = fault.token, fault.before
    if opener.kind != "(" or before.kind not in (":", "->", "NAME") or not fault.takes("[") or fault.takes("NUMBER"):
        return None
    close = fault.closing()
    assert close is not None, "brackets match before parsing begins"
    closer = fault.stream[close]
    repair = Repair(
        0,
        1,
        (Token("[", opener.text, opener.start, opener.end),),
        (close, Token("]", closer.text, closer.start, closer.end)),
    )
    if not fault.fits(repair, 2):
        return None
    whole = fault.source.span(opener.start, closer.end)
    better = f"[{whole.text[1:-1]}]"
    message = "a type is its dims in brackets"
    return rewrite("wrong-type", message, whole, "dims in parentheses", better), repair


def argument_without_parentheses(fault: Fault) -> Outcome | None:
    """`repeat 3 { ... }`."""
    token, before = fault.token, fault.before
    if token.kind != "NUMBER" or before.kind not in ("NAME", "TYPE") or fault.after.kind != "{" or not fault.place:
        return None
    ends = (Token("(", "(", token.start, token.start), token, Token(")", ")", token.end, token.end))
    repair = Repair(0, 1, ends)
    if not fault.fits(repair, 1):
        return None
    whole = fault.source.span(before.start, token.end)
    message, better = "arguments stand in parentheses", f"{before.text}({token.text})"
    return rewrite("missing-parentheses", message, whole, "no parentheses", better), repair


def tuple_of_values(fault: Fault) -> Outcome | None:
    """`betas = (0.9, 0.95)`."""
    if fault.token.kind != "," or fault.bracket != "(":
        return None
    stream, depth, at = fault.stream, 0, fault.at
    while depth >= 0 and at > fault.start:
        at -= 1
        depth += (stream[at].kind in CLOSERS) - (stream[at].kind in OPENERS)
    close = fault.closing(at)
    if close is None or stream[at - 1].kind not in ("=", "(", "[", ","):
        return None
    whole = fault.source.span(stream[at].start, stream[close].end)
    better = f"[{whole.text[1:-1].rstrip().rstrip(',')}]"
    return rewrite("wrong-bracket", "a list stands in brackets", whole, "parentheses", better), None


def type_of_tensors(fault: Fault) -> Outcome | None:
    """`x: Tensor[B, 64]`, `x: Int[B, T]`."""
    token = fault.token
    if token.kind != "TYPE" or fault.after.kind != "[" or fault.takes("TYPE") or not fault.takes("["):
        return None
    word = token.text.lower()
    if word in ("float", "int", "bool"):
        return rewrite(
            "wrong-type", "a type has a small first letter", fault.span(), "the type of the numbers", word
        ), Repair(0, 1, (Token("NAME", word, token.start, token.end),))
    message = "a type is its dims in brackets: `[B, 64]`, `int[B, T]`, `bool[B]`"
    fix = Fix(fault.span(), "")
    return Diagnostic("wrong-type", message, fault.span(), "not needed", help="leave it out", fixes=(fix,)), Repair(
        skip=1
    )


def bracketed_names(fault: Fault) -> Outcome | None:
    if fault.token.kind not in ("(", "[") or fault.before.kind != "as":
        return None
    close = fault.closing()
    assert close is not None, "brackets match before parsing begins"
    inside = fault.stream[fault.at + 1 : close]
    names = ", ".join(token.text for token in inside if token.kind == "NAME")
    plain = bool(inside) and all(token.kind == ("NAME", ",")[i % 2] for i, token in enumerate(inside))
    whole = fault.source.span(fault.token.start, fault.stream[close].end)
    finding = Diagnostic(
        "wrong-bracket",
        "names behind `as` stand without brackets",
        fault.span(),
        "a bracket",
        help=f"write `as {names if plain else 'a, b'}`",
        fixes=(Fix(whole, names),) if plain else (),
    )
    return finding, Repair(0, len(inside) + 2, tuple(inside)) if plain else None


def call_or_index(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.before
    if not fault.place or before.kind not in ("NAME", "TYPE", ")", "]", "}", "STRING", "NUMBER"):
        return None
    if token.kind == "[":
        return _index(fault)
    if token.kind == "(" and before.kind == ")":
        return _second_call(fault)
    if token.kind == "." and before.kind in (")", "]", "}"):
        message, label = "a function is applied by the arrow", "a dot joins names only"
        return Diagnostic("foreign-call", message, fault.span(), label, help="write `x -> f` for `x.f()`"), None
    return None


def _second_call(fault: Fault) -> Outcome:
    """`f(...)(x)` is `x -> f(...)`, and `x = f(...)(x)` no more than `f(...)`."""
    message, label = "what goes through a layer comes by the arrow", "a second pair of parentheses"
    help_ = "write `x -> f(...)` for `f(...)(x)`"
    stream, at = fault.stream, fault.at
    first, close = _beginning(fault, at - 1), fault.closing()
    assert close is not None, "brackets match before parsing begins"
    inside = stream[at + 1 : close]
    if first is None or not inside:
        return Diagnostic("foreign-call", message, fault.span(), label, help=help_), None
    call = fault.source.text[stream[first].start : stream[at - 1].end]
    given = fault.source.text[inside[0].start : inside[-1].end]
    start, better = first, f"{given} -> {call}"
    if first == fault.start + 2 and [token.text for token in stream[fault.start : first]] == [given, "="]:
        start, better = fault.start, call
    whole = fault.source.span(stream[start].start, stream[close].end)
    fixes = (Fix(whole, better),) if "\n" not in whole.text else ()
    help_ = f"write `{better}`" if fixes else help_
    return Diagnostic("foreign-call", message, fault.span(), label, help=help_, fixes=fixes), None


def _beginning(fault: Fault, at: int) -> int | None:
    """The index at which the call begins whose parenthesis closes at `at`, with its label."""
    stream, depth = fault.stream, 0
    while at > fault.start:
        depth += (stream[at].kind in CLOSERS) - (stream[at].kind in OPENERS)
        at -= 1
        if depth == 0:
            break
    if stream[at].kind not in ("NAME", "TYPE"):
        return None
    while at - 2 >= fault.start and stream[at - 1].kind in (".", ":"):
        at -= 2
    return at


def _index(fault: Fault) -> Outcome:
    if fault.stream[fault.at - 1].kind == "TYPE" and (found := _options_in_brackets(fault)):
        return found
    opener, number, closer = (*fault.stream[fault.at : fault.at + 3], fault.token, fault.token)[:3]
    dot = Token(".", ".", opener.start, opener.end)
    repair = Repair(0, 3, (dot, number))
    if number.text.isdecimal() and closer.kind == "]" and fault.fits(repair, 1):
        message, better = "a part is reached with a dot", f".{number.text}"
        fix = Fix(fault.source.span(opener.start, closer.end), better)
        help_ = f"write `{better}`"
        return Diagnostic("foreign-index", message, fault.span(), "an index", help=help_, fixes=(fix,)), repair
    help_ = "take a value apart with `split(n) as a, b`, `first` or `last`"
    return Diagnostic("foreign-index", "values have no index", fault.span(), "an index", help=help_), None


def _options_in_brackets(fault: Fault) -> Outcome | None:
    """`Linear[8]`: what begins with a capital makes a module, and has no parts."""
    close = fault.closing()
    if close is None:
        return None
    opener, *inside, closer = fault.stream[fault.at : close + 1]
    tokens = Token("(", "(", opener.start, opener.end), *inside, Token(")", ")", closer.start, closer.end)
    repair = Repair(0, len(tokens), tokens)
    if not fault.fits(repair, 1):
        return None
    better = f"({fault.source.text[opener.end : closer.start]})"
    message, help_ = "the options of a layer or block stand in parentheses", f"write `{better}`"
    fix = Fix(fault.source.span(opener.start, closer.end), better)
    return Diagnostic("foreign-index", message, fault.span(), "a bracket", help=help_, fixes=(fix,)), repair


def missing_sign(fault: Fault) -> Outcome | None:
    """Two values side by side."""
    if not fault.place or fault.token.kind not in VALUES | {"NAME", "TYPE"} | OPENERS.keys():
        return None
    if (lines := _two_lines(fault)) is not None:
        return lines
    fitting = [sign for sign in _candidates(fault) if fault.fits(fault.inserted(sign), 2)]
    if not fitting:
        return None
    texts = {"=": " =", ":": ":", ",": ",", "->": " ->", "*": " *"}
    space = "" if fault.before.end < fault.token.start else " "
    ways = " or ".join(f"`{sign}`" for sign in fitting)
    finding = Diagnostic(
        "missing-sign",
        f"a sign is missing between `{fault.before.text}` and `{fault.token.text}`",
        fault.span(),
        "the second of two side by side",
        help=f"write {ways} between them",
        fixes=tuple(Fix(fault.gap(), texts[sign] + space) for sign in fitting),
    )
    return finding, fault.inserted(fitting[0])


def _two_lines(fault: Fault) -> Outcome | None:
    """`onnx("a.onnx") torchscript("a.pt")`: what is no flow has each its own line."""
    setting = fault.section == "train" and fault.token.kind == "NAME" and fault.after.kind == "="
    if fault.section != "export" and not setting:
        return None
    repair = fault.inserted(NEWLINE)
    if fault.bracket in ("(", "[") or not fault.in_body or not fault.fits(repair, 2):
        return None
    gap = fault.source.span(fault.before.end, fault.token.start)
    message = "each setting has a line of its own" if setting else "each file has a line of its own"
    help_, fixes = f"write `{fault.token.text}` on the next line", (Fix(gap, "\n  "),)
    return Diagnostic("missing-sign", message, fault.span(), "on the same line", help=help_, fixes=fixes), repair


def _candidates(fault: Fault) -> tuple[str, ...]:
    """The signs that may be missing, the likeliest first."""
    token, name = fault.token, fault.raw(1)
    begins = fault.place == 1 or fault.stream[fault.at - 2].kind in ("(", ",", "{")
    if fault.head.kind in ITEMS and (not fault.in_body or fault.bracket == "("):
        return (":", ",")
    if name is not None and name.kind == "NAME" and begins and token.kind in VALUES and fault.bracket != "[":
        return ("=",)
    if fault.section == "train" and fault.before.kind == "NUMBER" and token.text == "epoch":
        return ("*",)
    if fault.bracket in ("(", "["):
        return (",",)
    if fault.section == "train" and fault.place == 1 and fault.before.kind == "NAME":
        return ("=",)
    if token.kind in OPENERS or VALUES & {token.kind, fault.before.kind}:
        return ()  # a number is no stage
    return (":", "->") if fault.place == 1 and token.kind == "TYPE" and fault.before.kind == "NAME" else ("->",)
