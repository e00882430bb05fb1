"""First words of lines: those of other languages, items in the wrong place, heads of items that are not complete."""

from __future__ import annotations

import re
from dataclasses import replace

from .diagnostics import Diagnostic, Fix, rewrite
from .fault import ITEMS, OPERATORS, Fault, Outcome, Repair
from .layout import CLOSERS, OPENERS
from .tokens import NEWLINE, VALUES, Token

_IMPORT = 'write `import "blocks.dlspec"` for a file, `import std.transformer` for the library'
_BLOCK = "a network is `model Name: (...) -> (...) { ... }`, a reusable piece `block Name(size) { ... }`"
_FUNCTION = "a function of numbers is `f(x) = max(x, 0)`, a piece with layers `block Name(size) { ... }`"
_MODEL = "a network is `model Name: (x: [B, 64]) -> (y: [B, 10]) { ... }`"
_REPEAT = "copies are made with `repeat(4) { ... }`, numbered with `index = i`"
CHOICE = "a choice is `a if c else b`, with braces around what is more than one stage"
_LAST = "a body ends with the value of its last stage"
_ALONE = "a name is given its value with `=` alone"

# What begins a line in other languages, and what this one has in its place.
_INSTEAD: dict[str, str] = {
    **dict.fromkeys(("class", "struct", "layer", "module", "component"), _BLOCK),
    **dict.fromkeys(("def", "fn", "func", "function", "fun", "lambda"), _FUNCTION),
    **dict.fromkeys(("network", "net", "graph"), _MODEL),
    **dict.fromkeys(("for", "while", "loop"), _REPEAT),
    **dict.fromkeys(("from", "using", "include", "use"), _IMPORT),
    **dict.fromkeys(("elif", "switch", "match"), CHOICE),
}
_TYPES = ("int", "float", "bool", "str", "double", "auto")
_FUNCTION_WORDS = ("def", "fn", "func", "function", "fun")
# What can be left out, and why.
_NEEDLESS: dict[str, str] = {
    **dict.fromkeys(("return", "yield"), _LAST),
    **dict.fromkeys(("let", "var", "const", "val"), _ALONE),
    **dict.fromkeys(_TYPES, _ALONE),
}


_BEHIND_A_STAGE = frozenset({"->", NEWLINE, ".", "{", "as", ",", *OPERATORS})


def foreign_head(fault: Fault) -> Outcome | None:
    head, span = fault.head, fault.span(fault.head)
    if head.kind in ("if", "else") and not fault.place:
        message = f"a line cannot begin with `{head.text}`"
        return Diagnostic("foreign-word", message, span, "at the beginning of the line", help=CHOICE), None
    if head.kind != "NAME" or fault.place != 1:
        return None
    label = f"`{head.text}` is not a word of this language"
    if head.text in _FUNCTION_WORDS and (outcome := _function(fault)):
        return outcome
    if head.text == "def" and fault.token.text in ("forward", "__init__", "call", "__call__", "setup"):
        help_ = "leave it out: the lines in the braces of `model` are what runs, and each makes its own modules"
        return Diagnostic("foreign-word", label, span, "here", help=help_), None
    if head.text in _INSTEAD:
        return Diagnostic("foreign-word", label, span, "here", help=_INSTEAD[head.text]), None
    if head.text not in _NEEDLESS:
        return None
    drop = Repair(back=1)
    label = "no type stands before a name" if head.text in _TYPES else label
    fixes = (Fix(fault.source.span(head.start, fault.token.start), ""),)
    finding = Diagnostic("foreign-word", _NEEDLESS[head.text], span, label, help="leave it out", fixes=fixes)
    return finding, drop if fault.fits(drop, 2) else None


def _function(fault: Fault) -> Outcome | None:
    """`def double(x) = 2 * x`."""
    end = next(i for i in range(fault.at, len(fault.stream)) if fault.stream[i].kind == NEWLINE)
    drop = Repair(back=1)
    if fault.in_body or not fault.fits(drop, end - fault.at):
        return None
    head, fixes = fault.head, (Fix(fault.source.span(fault.head.start, fault.token.start), ""),)
    message, label = "a function begins with its name", f"`{head.text}` is not a word of this language"
    return Diagnostic("foreign-word", message, fault.span(head), label, help="leave it out", fixes=fixes), drop


def quoted_name(fault: Fault) -> Outcome | None:
    """`"width": 768`, `"width" = 768`."""
    token, after = fault.token, fault.after
    name = token.text.strip('"')
    if fault.place or token.kind != "STRING" or after.kind not in (":", "=") or not name.isidentifier():
        return None
    kinds = (Token("NAME", name, token.start, token.end), Token("=", "=", after.start, after.end))
    repair = Repair(0, 2, kinds)
    if not name[0].islower() or not fault.fits(repair, 1):
        return None
    whole = fault.source.span(token.start, after.end)
    message = "a name stands without quotes, and is given its value with `=`"
    return rewrite("wrong-sign", message, whole, "a name in quotes", f"{name} ="), repair


def misspelt_head(fault: Fault) -> Outcome | None:
    """`modle Net: ...`: the line is read on as what was meant, so that the item is there for the rest of the file."""
    head = fault.head
    if fault.place != 1 or head.kind not in ("NAME", "TYPE"):
        return None
    from difflib import get_close_matches  # only a spec with a mistake waits for it

    for word in get_close_matches(head.text.lower(), (*ITEMS, "default", "phase"), cutoff=0.6):
        repair = fault.instead(word, 1)
        if fault.fits(repair):
            message = f"no line begins with `{head.text}`"
            return rewrite("misspelt-word", message, fault.span(head), "not a word of the language", word), repair
    return None


def misspelt_as(fault: Fault) -> Outcome | None:
    """`Linear(64) sa h`."""
    token, repair = fault.token, fault.instead("as")
    if token.kind != "NAME" or len(token.text) > 3 or fault.after.kind != "NAME" or not fault.fits(repair):
        return None
    message, label = "a value is named with `as`", "not a word of the language"
    return rewrite("misspelt-word", message, fault.span(), label, "as"), repair


def behind_as(fault: Fault) -> Outcome | None:
    """`Linear(64) as h -> relu`."""
    token, before = fault.token, fault.stream[fault.start : fault.at]
    at = next((i for i, word in enumerate(before) if word.kind == "as"), None)
    if token.kind != "->" or at is None or any(word.kind not in ("NAME", ",") for word in before[at + 1 :]):
        return None
    start = fault.source.text.rfind("\n", 0, fault.head.start) + 1
    gap = fault.source.text[start : fault.head.start]
    whole = fault.source.span(fault.before.end, fault.after.start)
    help_ = f"write what follows on the next line, without `->`: what `{before[-1].text}` names flows into it"
    repair = Repair(0, 1, (Token(NEWLINE, "\n", token.start, token.end),))
    fixes = (Fix(whole, f"\n{gap if gap.isspace() else ''}"),)
    finding = Diagnostic("unexpected", "`as` ends a line", fault.span(), "behind a name", help=help_, fixes=fixes)
    return finding, repair if fault.fits(repair) else None


def named_twice(fault: Fault) -> Outcome | None:
    """`words = text -> LSTM(8) as states, final`."""
    line = fault.stream[fault.start : fault.at]
    if fault.token.kind != "as" or [token.kind for token in line[:2]] != ["NAME", "="] or len(line) < 3:
        return None
    end = fault.at + 1
    while fault.stream[end].kind in ("NAME", ","):
        end += 1
    names = [token.text for token in fault.stream[fault.at + 1 : end] if token.kind == "NAME"]
    if not names or fault.stream[end].kind not in (NEWLINE, "}") or fault.section not in ("block", "model"):
        return None
    text = fault.source.text
    flow = text[line[2].start : line[-1].end]
    behind = text[fault.token.start : fault.stream[end - 1].end]
    by_sign = f"{line[0].text} = {flow}", Fix(fault.source.span(line[-1].end, fault.stream[end - 1].end), "")
    by_word = f"{flow} {behind}", Fix(fault.source.span(line[0].start, line[2].start), "")
    used = any(len(re.findall(rf"\b{name}\b", text)) > 1 for name in names)
    (better, fix), (other, other_fix) = (by_word, by_sign) if used else (by_sign, by_word)
    help_ = "take one of the two out"
    help_ += "" if "\n" in flow else f": write `{better}`, or `{other}`"
    label = f"`{line[0].text} =` names it already"
    message = "a flow has one name, by `=` or by `as`"
    finding = Diagnostic("unexpected", message, fault.span(), label, help=help_, fixes=(fix, other_fix))
    # The names that are used elsewhere are given here: a line that is left out is known to give them.
    return finding, None if used else Repair(0, end - fault.at)


def misplaced(fault: Fault) -> Outcome | None:
    token, head = fault.token, fault.head
    message = label = help_ = ""
    names = fault.after.kind in ("NAME", "TYPE", "STRING")
    if token.kind == "dlspec" and not fault.place:
        message, label = "the version stands in the first line only", "not the first line"
        help_ = "leave this line out"
    elif not fault.place and fault.in_body and token.kind in ITEMS and names:
        message, label = f"{ITEMS[token.kind]} stands at the top of a file, not inside a body", "inside braces"
        help_ = "move it out of the braces"
    elif not fault.place and token.kind == "phase" and names:
        message, label = "a phase stands in the braces of a recipe", "outside"
        help_ = "move it into `train Name { ... }`"
    elif not fault.in_body and _is_stage(fault):
        message, label = "a stage stands in the braces of a block or a model", "outside"
        help_ = "move it into a body, or give it a name with `name = ...`"
    if not message:
        return None
    return Diagnostic("misplaced", message, fault.span(head), label, help=help_), None


def _is_stage(fault: Fault) -> bool:
    """Whether a line of a file would be one of a body."""
    if not fault.place:
        return fault.token.kind in VALUES | {"NAME", "TYPE", "(", "[", "{", "none"} and not _is_setting(fault)
    if fault.head.kind != "NAME":
        return False
    if fault.place == 1:
        return fault.token.kind in _BEHIND_A_STAGE
    return fault.stream[fault.start + 1].kind == "(" and _behind_parentheses(fault).kind in _BEHIND_A_STAGE


def _behind_parentheses(fault: Fault) -> Token:
    """What follows `name(...)`, where the line begins so: `=` behind a function's head."""
    depth = 0
    for i in range(fault.start + 1, len(fault.stream)):
        token = fault.stream[i]
        if depth == 0 and token.kind != "(":
            return token
        depth += (token.kind in OPENERS) - (token.kind in CLOSERS)
    return fault.token


def _is_setting(fault: Fault) -> bool:
    return fault.token.kind == "TYPE" and fault.after.kind in ("=", ":")


def import_with_names(fault: Fault) -> Outcome | None:
    if fault.head.kind != "import" or not fault.place:
        return None
    stream, start = fault.stream, fault.start
    end = next((i for i in range(start, len(stream)) if stream[i].kind == NEWLINE), len(stream) - 1)
    words = fault.source.span(stream[start + 1].start, stream[end - 1].end)
    if fault.token.kind == "dlspec" and fault.before.kind == ".":
        better = f'"{words.text}"'
        message, help_ = "the name of a file stands in quotes", f"write `import {better}`"
        return Diagnostic("missing-quotes", message, words, "a file", help=help_, fixes=(Fix(words, better),)), None
    if fault.place == 1:
        return Diagnostic(
            "missing-name", "`import` is followed by a file or a path", fault.span(), "here", help=_IMPORT
        ), None
    file = next((token.text for token in stream[start:end] if token.kind == "STRING"), None)
    if file is None and stream[start + 1].text == "std":
        file = "".join(token.text for token in stream[start + 1 : fault.at])
    return Diagnostic(
        "foreign-import",
        "an import brings the whole file, under its own names",
        fault.span(),
        "a choice of names",
        help=_IMPORT if file is None else f"write `import {file}`",
        fixes=() if file is None else (Fix(words, file),),
    ), None


def colon_before_body(fault: Fault) -> Outcome | None:
    """`block Conv(out): {`."""
    colon, repair = fault.before, Repair(back=1)
    if fault.head.kind not in ITEMS or fault.in_body or fault.token.kind != "{" or colon.kind != ":":
        return None
    if not fault.fits(repair, 1):
        return None
    message = "`:` stands before the types that go in and come out, and here there are none"
    return replace(fault.surplus(colon, message, "not needed"), help="leave out the `:`"), repair


def head_of_item(fault: Fault) -> Outcome | None:
    """A block, model, recipe or export that lacks its name, its signature or its body."""
    token, head = fault.token, fault.head
    if head.kind not in ITEMS or fault.in_body:
        return None
    if fault.place == 1:
        message = f"`{head.text}` is followed by a name with a capital first letter"
        return Diagnostic("missing-name", message, fault.gap(), "no name here", help=f"write `{head.text} Name`"), None
    if token.kind in ("{", NEWLINE) and head.kind == "model" and fault.place == 2:
        message, label = "a model says what goes in and what comes out", "no signature here"
        return Diagnostic("missing-signature", message, fault.gap(), label, help=_MODEL), None
    if token.kind == NEWLINE and fault.takes("{"):
        return _body(fault)
    if fault.bracket == "(" and token.kind in (",", ")") and fault.before.kind == "NAME" and fault.takes(":"):
        message, help_ = "a port says its dims", f"write `{fault.before.text}: [B, 64]`"
        return Diagnostic("wrong-type", message, fault.span(fault.before), "no dims here", help=help_), None
    if fault.takes("[") and not fault.takes("NUMBER"):
        message, help_ = "a type is its dims in brackets", "write `[B, 64]`, or `int[B, T]` for whole numbers"
        return Diagnostic("wrong-type", message, fault.gap(), "`[` is to follow", help=help_), None
    return None


def parameters_of_model(fault: Fault) -> Outcome | None:
    """`model Net(width = 64): ...`."""
    stream, at = fault.stream, fault.at
    if fault.head.kind != "model" or fault.place != 2 or fault.token.kind != "(":
        return None
    close = fault.closing()
    if close is None or [token.kind for token in stream[at + 1 : at + 3]] not in (
        ["NAME", "="],
        ["NAME", ","],
        ["NAME", ")"],
    ):
        return None
    repair = Repair(skip=close + 1 - at)
    whole = fault.source.span(fault.token.start, stream[close].end)
    message = "a model has no parameters: what it is built with are constants of the file"
    first = stream[at + 1].text
    value = stream[at + 3].text if stream[at + 2].kind == "=" else "64"
    help_ = f"write `{first} = {value}` above the model, and leave the parentheses out"
    finding = Diagnostic("unexpected", message, whole, "parameters", help=help_, fixes=(Fix(whole, ""),))
    return finding, repair if fault.fits(repair, 2) else None


def bare_port(fault: Fault) -> Outcome | None:
    head, before = fault.head, fault.before
    if head.kind not in ("block", "model") or fault.token.kind != ":" or before.kind != "NAME" or fault.bracket:
        return None
    stream = fault.stream
    end = next(i for i in range(fault.at, len(stream)) if stream[i].kind in (NEWLINE, "{"))
    arrow = next((i for i in range(fault.at, end) if stream[i].kind == "->"), end)
    sides = [
        (stream[fault.at - 1], stream[arrow - 1]),
        *([(stream[arrow + 1], stream[end - 1])] if arrow < end else []),
    ]
    texts = [fault.source.text[first.start : last.end] for first, last in sides]
    better = " -> ".join(text if text[:1] in ("(", "[", "") else f"({text})" for text in texts)
    whole = fault.source.span(before.start, stream[end - 1].end)
    return rewrite("missing-parentheses", "ports with names stand in parentheses", whole, "a port", better), None


def _body(fault: Fault) -> Outcome:
    joined = Repair(skip=1)
    if fault.after.kind == "{" and fault.fits(joined, 1):
        gap = fault.source.span(fault.before.end, fault.after.start)
        fixes = () if gap.text.strip() else (Fix(gap, " "),)
        message, help_ = "a body opens on the line of its head", "move the `{` to the end of the line above"
        span = fault.span(fault.after)
        return Diagnostic("misplaced-brace", message, span, "on a line of its own", help=help_, fixes=fixes), joined
    message = f"{ITEMS[fault.head.kind]} has a body in braces"
    return Diagnostic("missing-body", message, fault.gap(), "no `{` here", help="write `{ ... }`"), None
