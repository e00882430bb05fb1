"""Signs that are missing, misplaced or meant otherwise: `:` and `=`, operators, arrows, commas, points."""

from __future__ import annotations

from .diagnostics import Diagnostic, Fix, rewrite
from .fault import OPERATORS, Fault, Outcome, Repair
from .tokens import NEWLINE, Token

_THOUSANDS = {"k": "_000", "K": "_000", "m": "_000_000", "M": "_000_000", "B": "_000_000_000", "G": "_000_000_000"}


def second_label(fault: Fault) -> Outcome | None:
    if fault.token.kind != ":" or fault.before.kind != "NAME" or fault.stream[fault.at - 2].kind != ":":
        return None
    message = "a label stands before a layer or braces, not before another label"
    help_ = "write `outer: { inner: Layer }`, or leave one of the labels out"
    return Diagnostic("wrong-sign", message, fault.span(), "a second label", help=help_), None


def colon_or_equals(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.raw(1)
    meant = {":": ("=",), "=": (":", "COMPARE")}.get(token.kind, ())
    for kind in meant:
        if fault.fits(fault.instead(kind)):
            messages = {
                "=": "a name is given its value with `=`",
                ":": "a type or a signature stands behind `:`",
                "COMPARE": "two values are compared with `==`",
            }
            return _wrong_sign(fault, token, "==" if kind == "COMPARE" else kind, messages[kind]), fault.instead(kind)
    if before is None or before.kind != ":" or token.kind in ("(", "["):
        return None
    if token.kind == "=" and fault.fits(Repair(back=1)):
        return fault.surplus(before, "a name is given its value with `=` alone", "one sign too many"), Repair(back=1)
    if fault.fits(fault.instead("=", 1)):
        message = "a label stands before a layer or braces; a name is given any other value with `=`"
        return _wrong_sign(fault, before, "=", message), fault.instead("=", 1)
    return None


def _wrong_sign(fault: Fault, token: Token, meant: str, message: str) -> Diagnostic:
    span = fault.span(token)
    # A colon clings to the name before it, and an equals sign stands apart from it.
    clings = token.kind == ":" and not fault.source.text[: span.start][-1:].isspace()
    fix = Fix(span, f" {meant}" if clings else meant)
    return Diagnostic("wrong-sign", message, span, f"`{token.text}`", help=f"write `{meant}`", fixes=(fix,))


def unfinished_line(fault: Fault) -> Outcome | None:
    """An operator, an arrow or `=` with nothing behind it."""
    before = fault.before
    ends = fault.token.kind in (NEWLINE, ",", ")", "]", "}")
    if not (fault.place and ends and before.kind in OPERATORS | {"->", "=", "if", "else"} and fault.takes("NAME")):
        return None
    joined = Repair(skip=1)
    whole = fault.token.kind != NEWLINE or before.kind == "=" or _names_something(fault)
    if whole or not fault.fits(joined, 1):
        message = f"nothing stands behind `{before.text}`"
        help_ = "write what is to stand there, or leave the sign out"
        return Diagnostic("missing-value", message, fault.span(before), "a value is to follow", help=help_), None
    start, end = before.end, fault.after.start
    between = fault.source.text[start:end]
    fixes: tuple[Fix, ...] = ()
    if before.kind == "->":
        fixes = (Fix(fault.source.span(fault.stream[fault.at - 2].end, end), f"{between.lstrip(' ')}  -> "),)
        help_ = "begin the next line with the arrow, or leave it out: inside braces each line is a stage"
    else:
        help_ = "put the whole in parentheses, in which a line break does not count, or on one line"
        if not between.strip():
            fixes = (Fix(fault.source.span(start, end), " "),)
    message = f"a line cannot end with `{before.text}`"
    return Diagnostic(
        "unfinished-line", message, fault.span(before), "the line ends here", help=help_, fixes=fixes
    ), joined


def _names_something(fault: Fault) -> bool:
    """Whether the next line gives a name, so that this one does not go on there: `h = ..`, `f(x) = ..`; and `a: ..`,
    but for sums of modules, each with its label. Nor does one that gives a name go on with that name itself."""
    if fault.after.kind != "NAME":
        return False
    if fault.stream[fault.start + 1].kind == "=" and fault.after.text == fault.head.text:
        return True
    sign = fault.at + 2
    if fault.stream[sign].kind == "(":
        sign = (fault.closing(sign) or fault.at) + 1
    labelled = fault.head.kind == "NAME" and fault.stream[fault.start + 1].kind == ":"
    return fault.stream[sign].kind == "=" or (fault.stream[sign].kind == ":" and not labelled)


def leading_operator(fault: Fault) -> Outcome | None:
    token = fault.token
    starts = not fault.place or fault.before.kind in ("(", "[", "{", ",", "=", ":", "->")
    if token.kind == "->" and not fault.takes("->") and starts:
        drop = Repair(skip=1)
        fix = Fix(fault.source.span(token.start, fault.after.start), "")
        message, label = "nothing stands before the arrow", "no stage to come from"
        finding = Diagnostic("extra-sign", message, fault.span(), label, help="leave it out", fixes=(fix,))
        return finding, drop if fault.fits(drop, 2) else None
    if fault.place or token.kind not in OPERATORS:
        return None
    help_ = "put both lines in parentheses, in which a line break does not count, or on one line"
    fixes: tuple[Fix, ...] = ()
    if fault.at and fault.before.kind == NEWLINE and fault.before.text and not fault.before.text.strip():
        fixes = (Fix(fault.source.span(fault.before.start, token.start), " "),)
    message = f"a line cannot begin with `{token.text}`"
    return Diagnostic(
        "leading-operator", message, fault.span(), "the line above has ended", help=help_, fixes=fixes
    ), None


def number(fault: Fault) -> Outcome | None:
    """Points without digits, plus signs, units."""
    token, after, before = fault.token, fault.after, fault.before
    drop = Repair(skip=1)
    if token.kind == "+" and fault.takes("NUMBER"):
        finding = fault.surplus(token, "`+` stands between two values", "no value before it")
        return finding, drop if fault.fits(drop, 2) else None
    if token.kind == "." and after.text.isdecimal() and after.start == token.end and fault.takes("NUMBER"):
        whole = Token("NUMBER", f"0.{after.text}", token.start, after.end)
        return _wrong_number(fault, "begins", "0.", whole.text), Repair(0, 2, (whole,))
    if not fault.place or before.kind != "NUMBER" or before.end != token.start:
        return None
    if token.kind == ".":
        return _wrong_number(fault, "ends", ".0", f"{before.text}.0"), drop if fault.fits(drop, 1) else None
    if token.kind in ("NAME", "TYPE"):
        return _unit(fault), fault.inserted("*") if fault.fits(fault.inserted("*"), 2) else None
    return None


def unit_of_time(fault: Fault) -> Outcome | None:
    """`every(5 epochs)`, `warmup(100 steps)`, `epochs = 3 epochs`."""
    token, before, key = fault.token, fault.before, fault.head.text
    if fault.section != "train" or before.kind != "NUMBER" or token.text not in ("epochs", "steps"):
        return None
    whole = fault.source.span(before.start, token.end)
    if key in ("epochs", "steps"):
        message = f"`{key}` is a number without a unit"
    else:
        message = "a length is a number of steps, or of epochs as `2 * epoch`"
    if token.text == "steps" or key == "epochs":
        better, repair = before.text, Repair(skip=1)
    else:
        better = f"{before.text} * epoch"
        repair = Repair(
            0, 1, (Token("*", "*", token.start, token.start), Token("NAME", "epoch", token.start, token.end))
        )
    finding = rewrite("wrong-number", message, whole, "a unit in words", better)
    return finding, repair if fault.fits(repair, 1) else None


def _wrong_number(fault: Fault, verb: str, fix: str, better: str) -> Diagnostic:
    message, span = f"a number {verb} with a digit", fault.span()
    return Diagnostic("wrong-number", message, span, "a point", help=f"write `{better}`", fixes=(Fix(span, fix),))


def _unit(fault: Fault) -> Diagnostic:
    digits, unit = fault.before.text, fault.token.text
    whole = fault.source.span(fault.before.start, fault.token.end)
    if unit in _THOUSANDS and digits.isdecimal():
        better = f"{digits}{_THOUSANDS[unit]}"
    elif digits == "0" and unit[0] in "xXbBoO" and (value := _of_other_base(f"0{unit}")) is not None:
        better = str(value)
    else:
        better = f"{digits} * {unit}"
    return rewrite("wrong-number", f"`{whole.text}` is neither a number nor a name", whole, "here", better)


def _of_other_base(digits: str) -> int | None:
    try:
        return int(digits, 0)
    except ValueError:
        return None


def commas(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.before
    drop = Repair(skip=1)
    if token.kind == "," and before.kind in (",", "(", "["):
        finding = fault.surplus(token, "nothing stands before this comma", "one comma too many")
        return finding, drop if fault.fits(drop, 1) else None
    if token.kind == "," and fault.after.kind in (NEWLINE, "}") and fault.fits(drop, 1):
        return fault.surplus(token, "a line ends without a comma", "a comma"), drop
    if token.kind == "," and fault.bracket in (None, "{") and (found := _unpacked(fault) or _listed(fault)):
        return found
    if token.kind == "," and fault.bracket in (None, "{"):
        message = "commas separate what stands in ( ) and [ ]"
        help_ = "write `->` between stages that follow each other, `[f, g]` for branches"
        return Diagnostic("wrong-sign", message, fault.span(), "a comma between stages", help=help_), None
    comma = fault.raw(1)
    if token.kind in (NEWLINE, "}") and comma is not None and comma.kind == "," and fault.fits(Repair(back=1), 1):
        return fault.surplus(comma, "nothing stands behind this comma", "one comma too many"), Repair(back=1)
    return None


def _unpacked(fault: Fault) -> Outcome | None:
    """`q, k, v = split(3)`."""
    stream, start = fault.stream, fault.start
    end = _end(fault)
    equals = next((i for i in range(start, end) if stream[i].kind == "="), end)
    names = stream[start:equals:2]
    signs = stream[start + 1 : equals : 2]
    if equals == end or not signs or {t.kind for t in names} != {"NAME"} or {t.kind for t in signs} != {","}:
        return None
    value = fault.source.text[stream[equals + 1].start : stream[end - 1].end]
    better = f"{value} as {', '.join(token.text for token in names)}"
    whole = fault.source.span(stream[start].start, stream[end - 1].end)
    message = "several results get their names behind `as`"
    return rewrite("wrong-sign", message, whole, "names before the flow", better), None


def _listed(fault: Fault) -> Outcome | None:
    """`metrics = accuracy(..), f1(..)`."""
    stream, start, end = fault.stream, fault.start, _end(fault)
    if fault.section != "train" or fault.place < 3 or stream[start + 1].kind != "=":
        return None
    whole = fault.source.span(stream[start + 2].start, stream[end - 1].end)
    return rewrite("missing-parentheses", "several stand in brackets", whole, "no brackets", f"[{whole.text}]"), None


def _end(fault: Fault) -> int:
    """The index behind the last token of the line."""
    return next(i for i in range(fault.at, len(fault.stream)) if fault.stream[i].kind in (NEWLINE, "}"))


def missing_else(fault: Fault) -> Outcome | None:
    if not fault.takes("else"):
        return None
    gap = fault.gap()
    return Diagnostic(
        "missing-else",
        "a choice with `if` names the other flow behind `else`",
        gap,
        "`else` is to follow",
        help="add `else identity` for a flow that may be absent, `else none` for an option",
        fixes=(Fix(gap, " else none"),),
    ), None


def chained_comparison(fault: Fault) -> Outcome | None:
    if fault.token.kind != "COMPARE" or fault.takes("NAME"):
        return None
    if not any(token.kind == "COMPARE" for token in fault.stream[fault.start : fault.at]):
        return None
    message, help_ = "comparisons are not chained", "compare twice: `b < c if a < b else false`"
    fixes: tuple[Fix, ...] = ()
    if fault.at - 3 >= fault.start and fault.stream[fault.at - 2].kind == "COMPARE":
        low, first, middle, second, high = fault.stream[fault.at - 3 : fault.at + 2]
        simple = all(token.kind in ("NAME", "TYPE", "NUMBER") for token in (low, middle, high))
        if simple and fault.stream[fault.at - 4].kind not in (".", *OPERATORS):
            better = f"({middle.text} {second.text} {high.text} if {low.text} {first.text} {middle.text} else false)"
            help_, fixes = f"write `{better}`", (Fix(fault.source.span(low.start, high.end), better),)
    return Diagnostic("chained-comparison", message, fault.span(), "a second comparison", help=help_, fixes=fixes), None
