"""What other languages write and this one does not: quotes, arrows, comments, capital words, look-alike characters.

The lexer meets these first. Each gives a finding, and the token that was meant takes its place, so that the rest of
the line is still read.
"""

from __future__ import annotations

import re

from .diagnostics import Diagnostic, Fix
from .source import Source, Span
from .tokens import NEWLINE, WRONG, Token

# A sign -> the sign meant, or None where the language has no such thing, and then why not.
SIGNS: dict[str, tuple[str | None, str]] = {
    "=>": ("->", "the arrow between stages"),
    "-->": ("->", "the arrow between stages"),
    "==>": ("->", "the arrow between stages"),
    "|>": ("->", "the arrow between stages"),
    ">>": ("->", "the arrow between stages"),
    "→": ("->", "the arrow between stages"),
    "⇒": ("->", "the arrow between stages"),
    "➜": ("->", "the arrow between stages"),
    "**": ("^", "a power"),
    ":=": ("=", "giving a name"),
    "::": (":", "a label"),
    "===": ("==", "a comparison"),
    "!==": ("!=", "a comparison"),
    "<>": ("!=", "a comparison"),
    "&&": (None, "there is no `and`: `a if b else false` chooses, and values are multiplied with `*`"),
    "||": (None, "there is no `or`: `true if a else b` chooses, and values are joined with `max(a, b)`"),
    "+=": (None, "a name is given once and never changed: give the new value a name of its own"),
    "-=": (None, "a name is given once and never changed: give the new value a name of its own"),
    "*=": (None, "a name is given once and never changed: give the new value a name of its own"),
    "/=": (None, "a name is given once and never changed: give the new value a name of its own"),
    "...": (None, "every argument and every line is written out"),
}
WORDS = {"True": "true", "False": "false", "None": "none"}

# Characters that look like ours, from word processors, keyboards for other scripts and PDF files.
LOOKALIKES: dict[str, str] = {
    "–": "-",
    "—": "-",
    "−": "-",
    "‐": "-",
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∗": "*",
    "÷": "/",
    "∕": "/",
    "＝": "=",
    "（": "(",
    "）": ")",
    "［": "[",
    "］": "]",
    "｛": "{",
    "｝": "}",
    "，": ",",
    "、": ",",
    "：": ":",
    "．": ".",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "＋": "+",
    "－": "-",
    "＊": "*",
    "／": "/",
    "＜": "<",
    "＞": ">",
    "％": "%",
    "＾": "^",
    "ˆ": "^",
}
_LETTERS = dict(
    zip("аеорсухіјѕАВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧον", "aeopcyxijsABEKMHOPCTXIJSABEZHIKMNOPTYXov", strict=True)
)
_OPENING, _CLOSING = "“„”«‟＂", "”“»‟＂"
_SPACES = "\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff"

PATTERN = "|".join(
    (
        r'"""(?:(?!""").)*(?:""")?',
        r"/\*(?:(?!\*/).)*(?:\*/)?",
        "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True)),
        r"'[^'\n]*'",
        f'[{_OPENING}][^{_CLOSING}"\n]*[{_CLOSING}"]',
        f"[{re.escape(''.join(LOOKALIKES))}]",
        f"[{_SPACES}]+",
        ";",
        r"\\\r?\n[ \t]*",
    )
)
# A line of prose: two words side by side, which no expression has.
_PROSE = re.compile(r"//[ \t]*[A-Za-z][\w']*[,.:]?[ \t]+(?!(?:if|else|as)\b)[A-Za-z]")


def token(source: Source, start: int, word: str, before: list[Token], findings: list[Diagnostic]) -> Token | None:
    """The token that a foreign piece stands for, if any."""
    end = start + len(word)
    span = source.span(start, end)
    if word.startswith("/*"):
        findings.append(_block_comment(source, span))
        return None
    if word.startswith('"""'):
        return _long_text(span, before, findings)
    if word.startswith("\\"):
        findings.append(_line_joiner(span))
        return None
    if word == ";":
        return Token(";", word, start, end)
    if word in SIGNS:
        return _sign(span, word, findings)
    if word in LOOKALIKES:
        meant = LOOKALIKES[word]
        findings.append(_lookalike(span, meant, f"`{word}` looks like `{meant}` but is another character"))
        kind = "COMPARE" if meant in ("<=", ">=", "!=", "<", ">") else meant
        return Token(kind, meant, start, end)
    if word[0] == "'":
        findings.append(
            Diagnostic(
                "foreign-quote",
                "a text stands in double quotes",
                span,
                "single quotes",
                help=f'write `"{word[1:-1]}"`' if '"' not in word else "write it in double quotes, without any inside",
                fixes=(Fix(span, f'"{word[1:-1]}"'),) if '"' not in word else (),
            )
        )
        return Token("STRING", f'"{word[1:-1]}"', start, end)
    if word[0] in _OPENING:
        findings.append(_lookalike(span, f'"{word[1:-1]}"', 'these quotes look like `"` but are other characters'))
        return Token("STRING", f'"{word[1:-1]}"', start, end)
    findings.append(_lookalike(span, " ", "this looks like a space but is another character", "an ordinary space"))
    return None


def word(source: Source, start: int, text: str, findings: list[Diagnostic]) -> str:
    """`True`, `False` or `None`: the kind of the word that was meant."""
    span, meant = source.span(start, start + len(text)), WORDS[text]
    findings.append(
        Diagnostic(
            "foreign-word",
            f"`{text}` is written `{meant}`",
            span,
            "a capital makes it the name of a layer",
            help=f"write `{meant}`",
            fixes=(Fix(span, meant),),
        )
    )
    return meant


def name(source: Source, start: int, text: str, findings: list[Diagnostic]) -> str:
    """A name with letters beyond ASCII, as it was meant. Emitted code holds it as a Python identifier."""
    span = source.span(start, start + len(text))
    meant = "".join(_LETTERS.get(c, c) for c in text)
    if meant != text:
        findings.append(
            _lookalike(span, meant, f"some letters of `{text}` look like Latin ones but are of another script")
        )
        return meant
    from unicodedata import normalize

    composed = normalize("NFKC", text)
    if text.isidentifier() and composed == text:
        return text
    better = composed if composed.isidentifier() else "".join(c for c in composed if f"a{c}".isidentifier())
    findings.append(
        Diagnostic(
            "unknown-character",
            f"`{text}` holds a character that a name cannot have",
            span,
            "names are letters, digits and `_`",
            help=f"write `{better}`",
            fixes=(Fix(span, better),),
        )
    )
    return better


def character(source: Source, start: int) -> Diagnostic:
    char = source.text[start]
    span = source.span(start, start + 1)
    if char in "\"'":
        return Diagnostic(
            "unclosed-text",
            "a text ends on the line on which it begins",
            span,
            "this quote opens a text that is never closed",
            help='close it with `"`',
        )
    if char == "\r":
        return Diagnostic(
            "unknown-character",
            "a carriage return alone ends no line",
            span,
            "here",
            help="end lines with a line feed (most editors: `LF`)",
            fixes=(Fix(span, "\n"),),
        )
    from unicodedata import name as unicode_name

    shown = f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"
    called = unicode_name(char, "").lower()
    label = called if called and not char.isascii() else "here"
    if char in _LETTERS:
        return _lookalike(span, _LETTERS[char], f"`{char}` looks like a Latin letter but is of another script")
    if char.isalpha():
        return Diagnostic(
            "unknown-character",
            f"a name cannot begin with {shown}",
            span,
            label,
            help="a name begins with a letter from a to z, a layer's with one from A to Z",
        )
    return Diagnostic("unknown-character", f"{shown} means nothing in this language", span, label, help="leave it out")


def is_comment(text: str, start: int, before: list[Token]) -> bool:
    """Whether `//` begins a remark: it opens a line, or prose follows."""
    return not before or before[-1].kind == NEWLINE or _PROSE.match(text, start) is not None


def comment(source: Source, start: int, end: int) -> Diagnostic:
    span = source.span(start, start + 2)
    return Diagnostic(
        "foreign-comment",
        "a comment begins with `#`",
        span,
        "`//` divides and rounds down",
        help="write `#`",
        fixes=(Fix(span, "#"),),
    )


def end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" else end


def _block_comment(source: Source, span: Span) -> Diagnostic:
    opening = source.span(span.start, span.start + 2)
    inner = span.text[2:].removesuffix("*/").strip()
    last_on_line = not source.text[span.end : end_of_line(source.text, span.end)].strip()
    lines = [line.strip().removeprefix("*").strip() for line in inner.splitlines()] or [""]
    indent = source.line(span.line)[: span.column - 1]
    joint = f"\n{indent if not indent.strip() else ''}"
    text = joint.join(f"# {line}".rstrip() for line in lines) if last_on_line else ""
    return Diagnostic(
        "foreign-comment",
        "a comment begins with `#` and ends with its line",
        opening,
        "no sign of this language",
        help="write `#` before each line of it",
        fixes=(Fix(span, text),),
    )


def _long_text(span: Span, before: list[Token], findings: list[Diagnostic]) -> Token | None:
    inner = " ".join(span.text[3:].removesuffix('"""').split()).replace('"', "")
    remark = not before or before[-1].kind in (NEWLINE, "{")
    better = f"# {inner}" if remark else f'"{inner}"'
    help_ = "write a remark after `#`" if remark else f"write `{better}`"
    findings.append(
        Diagnostic(
            "foreign-quote",
            "a text has one quote on either side and stays on its line",
            span,
            "three quotes",
            help=help_,
            fixes=(Fix(span, better),),
        )
    )
    return None if remark else Token("STRING", better, span.start, span.end)


def _line_joiner(span: Span) -> Diagnostic:
    return Diagnostic(
        "foreign-sign",
        "a line goes on where its brackets are open or the next one begins with `->`",
        span,
        "joins no lines here",
        help="leave it out and put the whole in parentheses, or on one line",
        fixes=(Fix(span, ""),),
    )


def _sign(span: Span, word: str, findings: list[Diagnostic]) -> Token:
    meant, use = SIGNS[word]
    if meant is None:
        findings.append(Diagnostic("foreign-sign", f"`{word}` is no sign of this language", span, "here", help=use))
        return Token(WRONG, word, span.start, span.end)
    findings.append(
        Diagnostic(
            "foreign-sign",
            f"{use} is written `{meant}`",
            span,
            f"`{word}` is no sign of this language",
            help=f"write `{meant}`",
            fixes=(Fix(span, meant),),
        )
    )
    return Token("COMPARE" if meant in ("==", "!=") else meant, meant, span.start, span.end)


def _lookalike(span: Span, meant: str, message: str, shown: str = "") -> Diagnostic:
    return Diagnostic(
        "lookalike", message, span, "here", help=f"write {shown or f'`{meant}`'}", fixes=(Fix(span, meant),)
    )


def open_text(source: Source, start: int, word: str, findings: list[Diagnostic]) -> list[Token]:
    """The tokens of a text that its line does not close.

    Closing brackets and commas at the end of the line are more likely the call's than the text's.
    """
    text = word.rstrip(")]}, \t\r")
    end = start + max(len(text), 1)
    quote, gap = source.span(start, start + 1), source.span(end, end)
    findings.append(
        Diagnostic(
            "unclosed-text",
            "a text ends on the line on which it begins",
            quote,
            "this quote opens a text that is never closed",
            help='close it with `"`',
            fixes=(Fix(gap, '"'),),
        )
    )
    rest = enumerate(source.text[end : start + len(word)], end)
    return [
        Token("STRING", f'{source.text[start:end]}"', start, end),
        *(Token(char, char, at, at + 1) for at, char in rest if char in ")]},"),
    ]
