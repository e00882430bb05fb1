"""What other languages write and this one does not: arrows, quotes, comments, capital words, look-alike characters.

The lexer meets these first. Each gives a finding, and the token that was meant takes its place, so that the rest of
the line is still read.
"""

from __future__ import annotations

import re
from math import isinf

from .diagnostics import Diagnostic, Fix, rewrite
from .source import Source, Span
from .tokens import NEWLINE, WRONG, Token

# A sign -> the sign meant, and what it says.
_SIGNS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("=>", "-->", "==>", "|>", ">>", "|", "→", "⇒", "➜"), ("->", "the arrow between stages")),
    "**": ("^", "a power"),
    ":=": ("=", "the sign behind a name"),
    "::": (":", "the sign behind a label"),
    "===": ("==", "a comparison"),
    **dict.fromkeys(("!==", "<>"), ("!=", "a comparison")),
}
# A sign -> what to do where the language has none for it.
_CHANGE = "a name is given once and never changed: give the new value a name of its own"
_AND = "`a if b else false` chooses, and numbers are multiplied with `*`"
_OR = "`true if a else b` chooses, and numbers are joined with `max(a, b)`"
_WITHOUT: dict[str, str] = {
    **dict.fromkeys(("&&", "&"), _AND),
    "||": _OR,
    **dict.fromkeys(("+=", "-=", "*=", "/="), _CHANGE),
    "!": "`a == false` turns a choice round",
    "?": "write `a if c else b` for `c ? a : b`",
    "@": "matrices are multiplied by layers, such as `Linear` and `attend`",
    "...": "write out every argument and every line",
}
WORDS = {"True": "true", "False": "false", "None": "none"}

# Characters that look like ours, from word processors, keyboards for other scripts and PDF files.
_LOOKALIKES: dict[str, str] = {
    **dict(zip("–—−‐－×·⋅∗＊÷∕／＝＋（）［］｛｝，、：．％＾ˆ＜＞", "-----*****///=+()[]{},,:.%^^<>", strict=True)),
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
}
_LETTERS = dict(
    zip("аеорсухіјѕАВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧον", "aeopcyxijsABEKMHOPCTXIJSABEZHIKMNOPTYXov", strict=True)
)
_OPENING, _CLOSING = "“„”«‟＂", "”“»‟＂"
_SPACES = "\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff"
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")

_ALONE = [sign for sign in (*_SIGNS, *_WITHOUT) if len(sign) > 1 or sign == "|" or not sign.isascii()]
PATTERN = "|".join(
    (
        # What is opened and never closed goes to the end of its line.
        r'""".*?"""|"""[^\n]*',
        r"/\*.*?\*/|/\*[^\n]*",
        "|".join(re.escape(sign) for sign in sorted(_ALONE, key=len, reverse=True)),
        r"'[^'\n]*'",
        f'[{_OPENING}][^{_CLOSING}"\n]*[{_CLOSING}"]',
        f"[{re.escape(''.join(_LOOKALIKES))}]",
        f"[{_SPACES}]+",
        ";",
        r"\\\r?\n[ \t]*",
    )
)
# A line of prose: two words side by side, which no expression has.
_PROSE = re.compile(r"(?://|--)[ \t]*[A-Za-z][\w']*[ \t]+(?!(?:if|else|as)\b)[A-Za-z]")
_TERNARY = re.compile(
    r"[ \t]*(?:\w+[ \t]*=[ \t]*)?(?P<condition>[^?:#={}]+?)[ \t]*(?P<sign>\?)[ \t]*(?P<then>[^?:#{}]+?)[ \t]*:[ \t]*"
    r"(?P<otherwise>[^?:#{}]+?)[ \t]*(?:#.*)?"
)
_LARGEST_EXPONENT = 400
# Numbers up to this length need no second look.
PLAIN = 300
_NUMBER = re.compile(r"(0|[1-9][0-9]*(_[0-9]+)*)(\.[0-9]+)?([eE][+-]?[0-9]+)?%?")


def token(source: Source, start: int, text: str, before: list[Token], findings: list[Diagnostic]) -> Token | None:
    """The token that a foreign piece stands for, if any."""
    end = start + len(text)
    span = source.span(start, end)
    if text == ";":
        return Token(";", text, start, end)
    if text in _WITHOUT:
        findings.append(_no_sign(span, text))
        return Token(WRONG, text, start, end)
    if text in _SIGNS:
        meant, use = _SIGNS["::" if text == ":=" and _labels_a_layer(source, start, end) else text]
        findings.append(rewrite("foreign-sign", f"{use} is `{meant}`", span, "a sign of other languages", meant))
    elif text in _LOOKALIKES:
        meant = _LOOKALIKES[text]
        findings.append(_lookalike(span, meant, f"`{text}` looks like `{meant}` but is another character"))
    elif text[0] == "'":
        inner = text[1:-1].replace('"', "")
        meant = f'"{inner}"'
        findings.append(rewrite("foreign-quote", "a text stands in double quotes", span, "single quotes", meant))
    elif text[0] in _OPENING:
        meant = f'"{text[1:-1]}"'
        findings.append(_lookalike(span, meant, 'these quotes look like `"` but are other characters'))
    elif text.startswith('"""'):
        return _long_text(span, before, findings)
    else:
        findings.append(_between(source, span))
        return None
    kind = "STRING" if meant[0] == '"' else "COMPARE" if meant in _COMPARISONS else meant
    return Token(kind, meant, start, end)


def _labels_a_layer(source: Source, start: int, end: int) -> bool:
    """`fc := Linear(4)` in a body."""
    line = source.text[source.text.rfind("\n", 0, start) + 1 : start]
    return line[:1] in (" ", "\t") and source.text[end:].lstrip(" ")[:1].isupper()


def word(source: Source, start: int, text: str, findings: list[Diagnostic]) -> str:
    """`True`, `False` or `None`: the kind of the word that was meant."""
    span, meant = source.span(start, start + len(text)), WORDS[text]
    label = "a capital first letter makes it the name of a layer"
    findings.append(rewrite("foreign-word", f"`{text}` has a small first letter here", span, label, meant))
    return meant


def number(source: Source, start: int, text: str, findings: list[Diagnostic]) -> str:
    """A number as it can stand in emitted code and be held by a computer."""
    span = source.span(start, start + len(text))
    if not _NUMBER.fullmatch(text):
        whole, point, rest = text.partition(".")
        better = f"{re.sub('_+', '_', whole).strip('_').lstrip('0_') or '0'}{point}{rest}"
        message = "a whole number has no zeros in front and single `_` between digits"
        findings.append(rewrite("wrong-number", message, span, "here", better))
        return better
    if len(text) > PLAIN or isinf(float(text.rstrip("%"))):
        message, help_ = "this number is too large to be held", "write one below 1e308, of fewer than 300 digits"
        findings.append(Diagnostic("wrong-number", message, span, "here", help=help_))
        return "1%" if text[-1] == "%" else "1"
    exponent = text.lower().rstrip("%").partition("e")[2]
    if exponent and abs(int(exponent)) > _LARGEST_EXPONENT:
        message, help_ = "this number is too small to be held", "write 0, or one above 1e-308"
        findings.append(Diagnostic("wrong-number", message, span, "here", help=help_))
        return "0%" if text[-1] == "%" else "0"
    return text


def name(source: Source, start: int, text: str, findings: list[Diagnostic]) -> str:
    """A name with letters beyond ASCII, as it was meant. Emitted code holds it as a Python identifier."""
    from unicodedata import normalize

    span = source.span(start, start + len(text))
    meant = "".join(_LETTERS.get(c, c) for c in text)
    if meant != text:
        message = f"some letters of `{text}` look like Latin ones but are of another script"
        findings.append(_lookalike(span, meant, message))
        return meant
    composed = normalize("NFKC", text)
    if text.isidentifier() and composed == text:
        return text
    better = "".join(c for c in composed if f"a{c}".isidentifier())
    message = f"`{text}` holds a character that a name cannot have"
    findings.append(rewrite("unknown-character", message, span, "names are letters, digits and `_`", better))
    return better


def character(source: Source, start: int) -> Diagnostic:
    """A character that begins nothing."""
    char = source.text[start]
    span = source.span(start, start + 1)
    if char == "'":
        return _unclosed(span, source.span(end_of_line(source.text, start), end_of_line(source.text, start)))
    if char in _WITHOUT:
        return _no_sign(span, char)
    if char == "\r":
        message = "a carriage return alone ends no line"
        help_ = "end lines with a line feed (`LF` in most editors)"
        return Diagnostic("unknown-character", message, span, "here", help=help_, fixes=(Fix(span, "\n"),))
    if char in _LETTERS:
        return _lookalike(span, _LETTERS[char], f"`{char}` looks like a Latin letter but is of another script")
    from unicodedata import name as unicode_name

    shown = f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"
    label = "here" if char.isascii() else unicode_name(char, "here").lower()
    if char.isalpha():
        help_ = "names begin with a letter from a to z, those of layers and blocks with one from A to Z"
        return Diagnostic("unknown-character", f"a name cannot begin with {shown}", span, label, help=help_)
    fixes = (Fix(span, ""),)
    return Diagnostic("unknown-character", f"{shown} means nothing here", span, label, help="leave it out", fixes=fixes)


def is_prose(text: str, start: int) -> bool:
    """Whether a remark follows `//` or `--`, and no number."""
    return _PROSE.match(text, start) is not None


def comment(source: Source, start: int) -> Diagnostic:
    span = source.span(start, start + 2)
    label = "`//` divides and rounds down" if span.text == "//" else "this takes a negative number away"
    return rewrite("foreign-comment", "a comment begins with `#`", span, label, "#")


def end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" else end


def open_text(source: Source, start: int, text: str, findings: list[Diagnostic]) -> list[Token]:
    """The tokens of a text that its line does not close.

    Closing brackets and commas at the end of the line are more likely the call's than the text's.
    """
    end = start + max(len(text.rstrip(")]}, \t\r")), 1)
    findings.append(_unclosed(source.span(start, start + 1), source.span(end, end)))
    rest = enumerate(source.text[end : start + len(text)], end)
    return [
        Token("STRING", f'{source.text[start:end]}"', start, end),
        *(Token(char, char, at, at + 1) for at, char in rest if char in ")]},"),
    ]


def _unclosed(quote: Span, gap: Span) -> Diagnostic:
    message = "a text ends on the line on which it begins"
    fixes = (Fix(gap, '"'),) if quote.text == '"' else ()
    return Diagnostic(
        "unclosed-text", message, quote, "no quote closes this one", help='close it with `"`', fixes=fixes
    )


def _no_sign(span: Span, sign: str) -> Diagnostic:
    fixes = _choice(span) if sign == "?" else ()
    help_ = f"write `{fixes[0].text}`" if fixes else _WITHOUT[sign]
    message = f"`{sign}` is not a sign of this language"
    return Diagnostic("foreign-sign", message, span, "here", help=help_, fixes=fixes)


def _choice(sign: Span) -> tuple[Fix, ...]:
    """`c ? a : b` on a line of its own, or behind `=`, as `a if c else b`."""
    source = sign.source
    line = source.span(sign.start - sign.column + 1, end_of_line(source.text, sign.start))
    found = _TERNARY.fullmatch(line.text)
    if found is None or line.start + found.start("sign") != sign.start:
        return ()
    whole = source.span(line.start + found.start("condition"), line.start + found.end("otherwise"))
    return (Fix(whole, f"{found['then']} if {found['condition']} else {found['otherwise']}"),)


def _between(source: Source, span: Span) -> Diagnostic:
    """What is no token: a comment, a joined line, a space."""
    if span.text.startswith("/*"):
        return _block_comment(source, span)
    if span.text.startswith("\\"):
        message = "a line goes on where brackets are open, and where the next line begins with `->`"
        help_ = "leave it out, and put the whole in parentheses or on one line"
        here = source.span(span.start, span.start + 1)
        return Diagnostic("foreign-sign", message, here, "joins no lines here", help=help_, fixes=(Fix(span, ""),))
    message, help_ = "this looks like a space but is another character", "write an ordinary space"
    return Diagnostic("lookalike", message, span, "here", help=help_, fixes=(Fix(span, " "),))


def _block_comment(source: Source, span: Span) -> Diagnostic:
    lines = [line.strip().removeprefix("*").strip() for line in span.text[2:].removesuffix("*/").strip().split("\n")]
    lead = source.line(span.line)[: span.column - 1]
    joint = f"\n{lead if not lead.strip() else ''}"
    last_on_line = not source.text[span.end : end_of_line(source.text, span.end)].strip()
    better = joint.join(f"# {line}".rstrip() for line in lines) if last_on_line else ""
    return Diagnostic(
        "foreign-comment",
        "a comment begins with `#` and ends with its line",
        source.span(span.start, span.start + 2),
        "here",
        help="write `#` before each of its lines",
        fixes=(Fix(span, better),),
    )


def _long_text(span: Span, before: list[Token], findings: list[Diagnostic]) -> Token | None:
    inner = " ".join(span.text[3:].removesuffix('"""').split()).replace('"', "")
    message = "a text has one quote on either side and stays on its line"
    if before and before[-1].kind not in (NEWLINE, "{"):
        findings.append(rewrite("foreign-quote", message, span, "three quotes", f'"{inner}"'))
        return Token("STRING", f'"{inner}"', span.start, span.end)
    findings.append(rewrite("foreign-quote", "a remark stands behind `#`", span, "a text by itself", f"# {inner}"))
    return None


def _lookalike(span: Span, meant: str, message: str) -> Diagnostic:
    return rewrite("lookalike", message, span, "here", meant)
