"""What an unexpected token says about the line: one rule a mistake, the first that knows it speaks.

A rule looks at a `Fault` and gives a finding, and where the line can be mended a repair, so that what follows is read.
mistakes.md shows what each of them deserves; wording.py has the words for what none of them knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .diagnostics import Diagnostic, Fix
from .layout import CLOSERS
from .lexer import keywords
from .source import Source, Span
from .tables import END, tables
from .tokens import NEWLINE, WRONG, Token

VALUES = frozenset({"NUMBER", "PERCENT", "STRING", "true", "false", "none"})
OPERATORS = frozenset({"+", "-", "*", "/", "//", "%", "^", "COMPARE"})
ITEMS = {"block": "a block", "model": "a model", "train": "a recipe", "export": "an export", "import": "an import"}


@dataclass(frozen=True)
class Repair:
    """Takes `back` tokens off the stack and `skip` tokens off the stream, and reads `tokens` in their place.

    `swaps` changes single tokens further on.
    """

    back: int = 0
    skip: int = 0
    tokens: tuple[Token, ...] = ()
    swaps: tuple[tuple[int, Token], ...] = ()


@dataclass(frozen=True)
class Fault:
    """A token that cannot stand where it stands, and what surrounds it.

    `tops` are the stack's values since the line began: tokens that are not part of a node yet, None for nodes.
    """

    source: Source
    stream: list[Token]
    at: int
    start: int
    in_body: bool
    tops: list[Token | None]
    try_: Callable[[Repair, int, int], bool]

    @property
    def token(self) -> Token:
        return self.stream[self.at]

    @property
    def first(self) -> bool:
        """Whether the token begins its line."""
        return self.at == self.start

    @property
    def before(self) -> Token:
        return self.stream[self.at - 1]

    @property
    def after(self) -> Token:
        return self.stream[min(self.at + 1, len(self.stream) - 1)]

    @property
    def head(self) -> Token:
        return self.stream[self.start]

    @property
    def bracket(self) -> str | None:
        """The innermost bracket that the line has open."""
        return next((top.kind for top in reversed(self.tops) if top is not None and top.kind in "([{"), None)

    @property
    def called(self) -> bool:
        """Whether that bracket holds arguments."""
        at = next((i for i in range(len(self.tops) - 1, -1, -1) if (t := self.tops[i]) and t.kind in "([{"), 0)
        return at > 0 and self.tops[at - 1] is None and self.bracket == "("

    def raw(self, back: int) -> Token | None:
        """The token `back` places down the stack, if it is no part of a node yet."""
        return self.tops[-back] if back <= len(self.tops) else None

    def fits(self, repair: Repair, ahead: int = 3) -> bool:
        if any(self.raw(back + 1) is None for back in range(repair.back)):
            return False
        return self.try_(repair, self.at, ahead)

    def takes(self, kind: str) -> bool:
        return self.fits(Repair(tokens=(Token(kind, "", 0, 0),)), 0)

    def wanted(self) -> set[str]:
        """All kinds of tokens that could stand here."""
        t = tables()
        return {kind for kind in (*t.literals, *t.patterns, END) if self.takes(kind)}

    def span(self, token: Token | None = None) -> Span:
        token = token or self.token
        return self.source.span(token.start, token.end)

    def gap(self) -> Span:
        """Between the token and the one before."""
        return self.source.span(self.before.end, self.before.end)


Outcome = tuple[Diagnostic | None, Repair | None]


def instead(fault: Fault, kind: str, back: int = 0) -> Repair:
    """The unexpected token, or the one `back` before it, read as another kind."""
    token = fault.raw(back) if back else fault.token
    assert token is not None
    return Repair(back, 0 if back else 1, (Token(kind, token.text, token.start, token.end),))


def inserted(fault: Fault, kind: str) -> Repair:
    place = fault.before.end
    return Repair(tokens=(Token(kind, "", place, place),))


# --- names -------------------------------------------------------------------------------------------------------


def reported(fault: Fault) -> Outcome | None:
    """The lexer or the brackets have spoken already."""
    token = fault.token
    if token.kind == WRONG:
        drop = Repair(skip=1)
        return None, drop if fault.fits(drop) else None
    if (not token.text and token.kind in CLOSERS) or (not fault.first and not fault.before.text):
        return None, None
    return None


def reserved_word(fault: Fault) -> Outcome | None:
    words = keywords()
    for back, token in ((0, fault.token), (1, fault.raw(1))):
        if token is None or token.kind not in words or (back and fault.at - fault.start != 1):
            continue
        repair = instead(fault, "NAME", back)
        if fault.fits(repair):
            return _reserved(fault, token), repair
    return None


def _reserved(fault: Fault, token: Token) -> Diagnostic:
    return Diagnostic(
        "reserved-word",
        f"`{token.text}` is a word of the language and cannot be a name",
        fault.span(token),
        "reserved",
        help=f"write another name, such as `{token.text}_`",
        fixes=(Fix(fault.span(token), f"{token.text}_"),),
    )


def wrong_case(fault: Fault) -> Outcome | None:
    for back, token in ((0, fault.token), (1, fault.raw(1))):
        if token is None or token.kind not in ("NAME", "TYPE"):
            continue
        other = "TYPE" if token.kind == "NAME" else "NAME"
        repair = instead(fault, other, back)
        if (back or not fault.takes(token.kind)) and fault.fits(repair, 2):
            better = _capital(token.text) if other == "TYPE" else _lower(token.text)
            if better[0] == "_" and other == "TYPE":
                continue
            what = (
                "a name here begins with a capital letter"
                if other == "TYPE"
                else "a name here begins with a small letter"
            )
            label = (
                "this begins with a small letter"
                if other == "TYPE"
                else "a capital begins the name of a layer, a block or a model"
            )
            fix = Fix(fault.span(token), better)
            return Diagnostic(
                "wrong-case", what, fault.span(token), label, help=f"write `{better}`", fixes=(fix,)
            ), repair
    return None


def _capital(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) or name


def _lower(name: str) -> str:
    if name.isupper():
        return name.lower()
    parts = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    return parts.lstrip("_").replace("__", "_")


# --- signs -------------------------------------------------------------------------------------------------------


def colon_or_equals(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.raw(1)
    if token.kind == ":" and fault.fits(instead(fault, "=")):
        return _sign(fault, token, "=", "what follows a name is given with `=`"), instead(fault, "=")
    if token.kind == "=" and fault.fits(instead(fault, ":")):
        what = "a signature or a type is given with `:`"
        return _sign(fault, token, ":", what), instead(fault, ":")
    if token.kind == "=" and fault.fits(instead(fault, "COMPARE")):
        return _sign(fault, token, "==", "two values are compared with `==`"), instead(fault, "COMPARE")
    if before is not None and before.kind == ":" and fault.token.kind not in "([":
        if token.kind == "=" and fault.fits(Repair(back=1)):
            return _delete(fault, before, "a name is given with `=` alone", "one sign too many"), Repair(back=1)
        if fault.fits(instead(fault, "=", 1)):
            what = "a label names a layer or braces; any other value is given with `=`"
            return _sign(fault, before, "=", what), instead(fault, "=", 1)
    return None


def _sign(fault: Fault, token: Token, meant: str, message: str) -> Diagnostic:
    span = fault.span(token)
    return Diagnostic(
        "wrong-sign", message, span, f"`{token.text}`", help=f"write `{meant}`", fixes=(Fix(span, meant),)
    )


def _delete(fault: Fault, token: Token, message: str, label: str, code: str = "extra-sign") -> Diagnostic:
    return Diagnostic(code, message, fault.span(token), label, help="leave it out", fixes=(Fix(fault.span(token), ""),))


def unfinished_line(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.before
    if fault.first or before.kind not in OPERATORS | {"->"} or not fault.takes("NAME"):
        return None
    span = fault.span(before)
    if token.kind != NEWLINE:
        message = f"nothing stands after `{before.text}`"
        return (
            Diagnostic("missing-value", message, span, "a value is to follow", help="write it, or leave the sign out"),
            None,
        )
    joined = Repair(skip=1)
    if not fault.fits(joined, 1):
        message = f"a line cannot end with `{before.text}`"
        return Diagnostic(
            "missing-value", message, span, "a value is to follow", help="write it, or leave the sign out"
        ), None
    next_ = fault.after
    between = fault.source.text[before.end : next_.start]
    if before.kind == "->":
        indent = between[between.rfind("\n") + 1 :]
        fix = Fix(
            fault.source.span(before.start, next_.start), f"{between.lstrip(' ')}{'' if indent.strip() else '  '}-> "
        )
        message, help_ = (
            "a line cannot end with `->`",
            "begin the next line with `->`, or leave it out: inside braces each line is a stage",
        )
        return Diagnostic("unfinished-line", message, span, "the line ends here", help=help_, fixes=(fix,)), joined
    fix = Fix(fault.source.span(before.end, next_.start), " ") if not between.strip() else None
    message = f"a line cannot end with `{before.text}`"
    help_ = "put the whole in parentheses, in which a line break does not count, or on one line"
    return Diagnostic(
        "unfinished-line", message, span, "the line ends here", help=help_, fixes=(fix,) if fix else ()
    ), joined


def leading_operator(fault: Fault) -> Outcome | None:
    token = fault.token
    if token.kind == "->" and not fault.takes("->") and (fault.first or fault.before.kind in "([{,=:"):
        drop = Repair(skip=1)
        finding = _delete(fault, token, "nothing stands before the arrow", "no stage to come from")
        return finding, drop if fault.fits(drop, 2) else None
    if not fault.first or token.kind not in OPERATORS:
        return None
    help_ = "put both lines in parentheses, in which a line break does not count, or on one line"
    fixes = ()
    if fault.at > 0 and fault.before.kind == NEWLINE and not fault.before.text.strip():
        fixes = (Fix(fault.source.span(fault.before.start, token.start), " "),)
    label = "the line above has ended"
    message = f"a line cannot begin with `{token.text}`"
    return Diagnostic("leading-operator", message, fault.span(), label, help=help_, fixes=fixes), None


def chained_comparison(fault: Fault) -> Outcome | None:
    if fault.token.kind != "COMPARE" or fault.takes("NAME"):
        return None
    if fault.token.text == "<" and fault.after.kind == "-":
        return None
    message = "comparisons are not chained"
    help_ = "compare twice: `(a < b) * (b < c)`"
    return Diagnostic("chained-comparison", message, fault.span(), "a second comparison", help=help_), None


def sign_of_a_number(fault: Fault) -> Outcome | None:
    token, after, before = fault.token, fault.after, fault.before
    if token.kind == "+" and fault.takes("NUMBER"):
        drop = Repair(skip=1)
        message = "a number has no plus sign, and `+` joins two values"
        return _delete(fault, token, message, "no value before it"), drop if fault.fits(drop, 2) else None
    if token.kind == "." and after.kind == "NUMBER" and after.start == token.end and fault.takes("NUMBER"):
        repair = Repair(0, 2, (Token("NUMBER", f"0.{after.text}", token.start, after.end),))
        fix = Fix(fault.span(), "0.")
        message = "a number begins with a digit"
        return Diagnostic(
            "wrong-number", message, fault.span(), "here", help=f"write `0.{after.text}`", fixes=(fix,)
        ), repair
    if token.kind == "." and before.kind == "NUMBER" and before.end == token.start:
        drop = Repair(skip=1)
        message, help_ = "a number ends with a digit", f"write `{before.text}.0`"
        fix = Fix(fault.span(), ".0")
        repair = drop if fault.fits(drop, 1) else None
        return Diagnostic("wrong-number", message, fault.span(), "here", help=help_, fixes=(fix,)), repair
    if token.kind in ("NAME", "TYPE") and before.kind == "NUMBER" and before.end == token.start:
        product = inserted(fault, "*")
        if fault.fits(product, 2):
            message = f"`{before.text}{token.text}` is neither a number nor a name"
            span = fault.source.span(before.start, token.end)
            help_ = f"write `{before.text} * {token.text}` for a product"
            return Diagnostic(
                "wrong-number", message, span, "here", help=help_, fixes=(Fix(fault.gap(), " * "),)
            ), product
    return None


def commas(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.before
    if token.kind == ",":
        drop = Repair(skip=1)
        if before.kind == "," or before.kind in "([":
            return _delete(fault, token, "nothing stands before this comma", "one comma too many"), (
                drop if fault.fits(drop, 1) else None
            )
        if fault.after.kind in (NEWLINE, "}") and fault.fits(drop, 1):
            return _delete(fault, token, "a line ends without a comma", "a comma"), drop
        if fault.bracket in (None, "{"):
            message = "a comma separates what stands in ( ) and [ ], not stages"
            help_ = "write `->` between stages that follow each other, `[f, g]` for branches"
            return Diagnostic("wrong-sign", message, fault.span(), "a comma", help=help_), None
    if token.kind == NEWLINE and (comma := fault.raw(1)) is not None and comma.kind == ",":
        drop = Repair(back=1)
        if fault.fits(drop, 1):
            return _delete(fault, comma, "nothing stands after this comma", "one comma too many"), drop
    return None


def missing_sign(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.before
    if fault.first or token.kind not in VALUES | {"NAME", "TYPE", "(", "[", "{"}:
        return None
    named = (name := fault.raw(1)) is not None and name.kind == "NAME"
    opens = fault.at - fault.start == 1 or fault.stream[fault.at - 2].kind in "(,"
    candidates: list[str] = []
    if named and opens and token.kind in VALUES and fault.bracket != "[":
        candidates.append("=")
    if token.kind in "([{NAMETYPE" and (not fault.in_body or fault.bracket == "(") and fault.head.kind in ITEMS:
        candidates.append(":")
    if named and fault.at - fault.start == 1 and token.kind == "TYPE":
        candidates.append(":")
    if fault.bracket in ("(", "["):
        candidates.append(",")
    if token.kind not in "([{":
        candidates.append("->")
    fitting = [sign for sign in candidates if fault.fits(inserted(fault, sign), 2)]
    if not fitting:
        return None
    texts = {"=": " =", ":": ":", ",": ",", "->": " ->"}
    space = "" if fault.before.end < token.start else " "
    fixes = tuple(Fix(fault.gap(), texts[sign] + space) for sign in fitting)
    from .wording import piece

    ways = " or ".join(f"`{sign}`" for sign in fitting)
    message = f"a sign is missing between {piece(before)} and {piece(token)}"
    return Diagnostic(
        "missing-sign", message, fault.span(), f"{ways} before this", help=f"write {ways}", fixes=fixes
    ), (inserted(fault, fitting[0]))


# --- calls and brackets --------------------------------------------------------------------------------------------


def labelled_parentheses(fault: Fault) -> Outcome | None:
    colon = fault.raw(1)
    if fault.token.kind != "(" or colon is None or colon.kind != ":" or not fault.takes("{"):
        return None
    close = _closing(fault)
    if close is None:
        return None
    opener, closer = fault.token, fault.stream[close]
    swap = (close, Token("}", closer.text, closer.start, closer.end))
    repair = Repair(0, 1, (Token("{", opener.text, opener.start, opener.end),), (swap,))
    inside = fault.source.text[opener.end : closer.start]
    fix = Fix(fault.source.span(opener.start, closer.end), f"{{ {inside.strip()} }}")
    finding = Diagnostic(
        "wrong-bracket",
        "a label names one layer, or what stands in braces",
        fault.span(),
        "parentheses",
        help="write `{ }`",
        fixes=(fix,),
    )
    return finding, repair if "\n" not in inside else None


def _closing(fault: Fault) -> int | None:
    """Where the bracket at the fault is closed."""
    depth = 0
    for i in range(fault.at, len(fault.stream)):
        kind = fault.stream[i].kind
        depth += (kind in ("(", "[", "{")) - (kind in (")", "]", "}"))
        if depth == 0:
            return i
    return None


def index_or_call(fault: Fault) -> Outcome | None:
    token, before = fault.token, fault.before
    if fault.first or before.kind not in ("NAME", "TYPE", ")", "]", "}", "STRING", "NUMBER"):
        return None
    if before.kind == "NAME" and fault.at - fault.start >= 2 and fault.stream[fault.at - 2].kind == "as":
        return None
    if token.kind == "[":
        inside = fault.stream[fault.at + 1 : fault.at + 3]
        whole = [t.kind for t in inside] == ["NUMBER", "]"] and inside[0].text.isdecimal()
        if whole and before.kind in ("NAME", "TYPE"):
            dot = Token(".", "", token.start, token.start)
            repair = Repair(0, 3, (dot, inside[0]))
            fix = Fix(fault.source.span(token.start, inside[1].end), f".{inside[0].text}")
            finding = Diagnostic(
                "foreign-index",
                "a part is reached with a dot",
                fault.span(),
                "brackets make a list",
                help=f"write `.{inside[0].text}`",
                fixes=(fix,),
            )
            return finding, repair if fault.fits(repair, 1) else None
        help_ = "a value is taken apart with `split(n) as a, b`, `first` and `last`"
        return Diagnostic(
            "foreign-index", "values have no index", fault.span(), "brackets make a list", help=help_
        ), None
    if token.kind == "(" and before.kind == ")":
        message, help_ = "what goes through a layer comes by the arrow", "write `x -> f(...)` for `f(...)(x)`"
        return Diagnostic("foreign-call", message, fault.span(), "a second pair of parentheses", help=help_), None
    if token.kind == "." and before.kind in (")", "]", "}"):
        message, help_ = "a function is applied by the arrow", "write `x -> f` for `x.f()`"
        return Diagnostic("foreign-call", message, fault.span(), "a dot joins names only", help=help_), None
    return None


def bracketed_names(fault: Fault) -> Outcome | None:
    if fault.token.kind not in "([" or fault.before.kind != "as":
        return None
    close = _closing(fault)
    inside = [] if close is None else fault.stream[fault.at + 1 : close]
    message, help_ = "names after `as` stand without brackets", "write `as a, b`"
    fixes, repair = (), None
    if close is not None and inside and all(t.kind in ("NAME", ",") for t in inside):
        text = fault.source.text[fault.token.end : fault.stream[close].start].strip()
        fixes = (Fix(fault.source.span(fault.token.start, fault.stream[close].end), text),)
        repair = Repair(0, len(inside) + 2, tuple(inside))
    return Diagnostic("wrong-bracket", message, fault.span(), "a bracket", help=help_, fixes=fixes), repair


# --- heads -------------------------------------------------------------------------------------------------------

# Words that begin a line in other languages: what to write instead, or None where leaving it out is all.
FOREIGN_HEADS: dict[str, str | None] = {
    **dict.fromkeys(("let", "var", "const", "val", "return", "yield"), None),
    **dict.fromkeys(
        ("class", "struct", "layer", "module", "component"), "a reusable piece is `block Name(size) { ... }`"
    ),
    **dict.fromkeys(("network", "net", "graph"), "a network is `model Name: (x: [B, 64]) -> (y: [B, 10]) { ... }`"),
    **dict.fromkeys(
        ("def", "fn", "func", "function", "fun"),
        "a function of numbers is `f(x) = max(x, 0)`, a piece with layers is `block Name { ... }`",
    ),
    **dict.fromkeys(("for", "while", "loop"), "copies are made with `repeat(4) { ... }`, numbered with `index = i`"),
    "from": 'blocks of another file come with `import "blocks.dlspec"`, those of the library with `import std.transformer`',
    "using": 'blocks of another file come with `import "blocks.dlspec"`, those of the library with `import std.transformer`',
    "elif": "one of two flows is chosen with `a if c else b`",
    "lambda": "a function of numbers is `f(x) = max(x, 0)`, at the top of the file",
}
_LEFT_OUT = {
    "return": "a body ends with the value of its last stage",
    "yield": "a body ends with the value of its last stage",
}


def foreign_head(fault: Fault) -> Outcome | None:
    head = fault.head
    if (head.kind == "if" and fault.first) or (fault.first and head.kind == "else"):
        help_ = "write `a if c else b`, with braces around what is more than one stage"
        return Diagnostic(
            "foreign-word", f"no line begins with `{head.text}`", fault.span(), "reserved", help=help_
        ), None
    if head.kind != "NAME" or head.text not in FOREIGN_HEADS or fault.at - fault.start not in (0, 1):
        return None
    instead_, span = FOREIGN_HEADS[head.text], fault.span(head)
    if instead_ is not None:
        message = f"`{head.text}` is no word of this language"
        return Diagnostic("foreign-word", message, span, "here", help=instead_), None
    if fault.first:
        return None
    message = _LEFT_OUT.get(head.text, "a name is given with `=` alone")
    gap = fault.source.span(head.start, fault.token.start)
    drop = Repair(back=1)
    finding = Diagnostic(
        "foreign-word",
        message,
        span,
        f"`{head.text}` is no word of this language",
        help="leave it out",
        fixes=(Fix(gap, ""),),
    )
    return finding, drop if fault.fits(drop, 2) else None


def logic_word(fault: Fault) -> Outcome | None:
    ways = {
        "and": "`a if b else false` chooses, and values are multiplied with `*`",
        "or": "`true if a else b` chooses, and values are joined with `max(a, b)`",
        "not": "`a == false` turns a choice round",
        "is": "write `==`",
        "in": "compare with `==`",
    }
    for token in (fault.token, fault.before):
        if token.kind == "NAME" and token.text in ways and not (token is fault.before and fault.first):
            message = f"`{token.text}` is no word of this language"
            return Diagnostic("foreign-word", message, fault.span(token), "here", help=ways[token.text]), None
    return None


def missing_else(fault: Fault) -> Outcome | None:
    if not fault.takes("else"):
        return None
    message, label = "an `if` between two flows needs an `else`", "the other flow is to follow"
    help_ = "add `else identity` for a flow that may be absent, `else none` for an option"
    if fault.token.kind == "else":
        return None
    gap = fault.gap()
    return Diagnostic("missing-else", message, gap, label, help=help_, fixes=(Fix(gap, " else none"),)), None


def misplaced_item(fault: Fault) -> Outcome | None:
    token = fault.token
    if token.kind == "dlspec":
        message = "the version stands in the first line only"
        return Diagnostic("misplaced", message, fault.span(), "not the first line", help="leave this line out"), None
    if fault.first and fault.in_body and token.kind in ITEMS:
        message = f"{ITEMS[token.kind]} stands at the top of a file, not inside a body"
        return Diagnostic("misplaced", message, fault.span(), "inside braces", help="move it out of the braces"), None
    if token.kind == "phase" and fault.first:
        message = "a phase stands in the braces of a recipe"
        return Diagnostic("misplaced", message, fault.span(), "outside", help="move it into `train Name { }`"), None
    if not fault.in_body and fault.head.kind in (
        "NAME",
        "TYPE",
        "STRING",
        "NUMBER",
        "(",
        "[",
        "{",
        "none",
        "true",
        "false",
    ):
        names_nothing = fault.first or fault.head.kind != "NAME" or fault.token.kind in ("->", NEWLINE, ".", "{", "as")
        if names_nothing:
            message = "a stage stands in the braces of a block or a model"
            help_ = "move it into a body, or give it a name with `name = ...`"
            return Diagnostic("misplaced", message, fault.span(fault.head), "outside", help=help_), None
    return None


def head_of_item(fault: Fault) -> Outcome | None:
    token, head = fault.token, fault.head
    if head.kind not in ITEMS:
        return None
    span = fault.span()
    if head.kind == "import":
        return _import(fault)
    if token.kind == NEWLINE and fault.takes("{"):
        brace = fault.after.kind == "{"
        joined = Repair(skip=1)
        if brace and fault.fits(joined, 1):
            gap = fault.source.span(fault.before.end, fault.after.start)
            message, help_ = "a body opens on the line of its head", "move the `{` up to the end of the line above"
            finding = Diagnostic(
                "misplaced-brace",
                message,
                fault.span(fault.after),
                "on a line of its own",
                help=help_,
                fixes=(Fix(gap, " "),),
            )
            return finding, joined
        message = f"{ITEMS[head.kind]} has a body in braces"
        return Diagnostic("missing-body", message, fault.gap(), "the line ends here", help="write `{ ... }`"), None
    if token.kind in ("{", NEWLINE) and head.kind == "model" and (fault.takes(":") or fault.takes("(")):
        message = "a model says what goes in and what comes out"
        help_ = "write `model Name: (x: [B, 64]) -> (y: [B, 10]) { ... }`, with your names and sizes"
        return Diagnostic(
            "missing-signature",
            message,
            span if token.kind == "{" else fault.gap(),
            "no signature before this",
            help=help_,
        ), None
    if token.kind in (NEWLINE, "{", ":") and fault.at - fault.start == 1:
        message = f"`{head.text}` is followed by a name"
        return Diagnostic("missing-name", message, fault.gap(), "no name here", help=f"write `{head.text} Name`"), None
    if token.kind == ":" and fault.before.kind == "NAME":
        message = "ports with names stand in parentheses"
        return Diagnostic(
            "missing-parentheses", message, fault.span(fault.before), "a port", help="write `(x: [B, 64], y: [B, T])`"
        ), None
    if fault.takes("[") and token.kind in ("NAME", "TYPE", "NUMBER", ")", ",") and not fault.takes("NUMBER"):
        message = "a type is its dims in brackets"
        return Diagnostic(
            "wrong-type",
            message,
            span,
            "`[` is to stand here",
            help="write `[B, 64]`, or `int[B, T]` for whole numbers",
        ), None
    return None


def _import(fault: Fault) -> Outcome | None:
    token, stream, start = fault.token, fault.stream, fault.start
    end = next(i for i in range(start, len(stream)) if stream[i].kind == NEWLINE)
    text = next((t.text for t in stream[start:end] if t.kind == "STRING"), None)
    whole = fault.source.span(stream[start].start, stream[end - 1].end)
    if token.kind == "dlspec" and fault.before.kind == ".":
        name = fault.source.text[stream[start + 1].start : stream[end - 1].end]
        fix = Fix(fault.source.span(stream[start + 1].start, stream[end - 1].end), f'"{name}"')
        message, help_ = "the name of a file stands in quotes", f'write `import "{name}"`'
        return Diagnostic("missing-quotes", message, whole, "a file", help=help_, fixes=(fix,)), None
    if fault.at > start + 1:
        message = "everything of a file is imported, under its own names"
        help_ = f"write `import {text}`" if text else 'write `import "blocks.dlspec"` or `import std.transformer`'
        fixes = (Fix(whole, f"import {text}"),) if text else ()
        return Diagnostic("foreign-import", message, fault.span(), "one import too fine", help=help_, fixes=fixes), None
    return None


RULES: Iterable[Callable[[Fault], Outcome | None]] = (
    reported,
    misplaced_item,
    reserved_word,
    wrong_case,
    colon_or_equals,
    foreign_head,
    logic_word,
    unfinished_line,
    leading_operator,
    sign_of_a_number,
    commas,
    missing_else,
    labelled_parentheses,
    bracketed_names,
    index_or_call,
    chained_comparison,
    missing_sign,
    head_of_item,
)


def explain(fault: Fault) -> Outcome:
    from .wording import unexpected

    for rule in RULES:
        outcome = rule(fault)
        if outcome is not None:
            return outcome
    return unexpected(fault), None
