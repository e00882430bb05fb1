"""What an option may be, for a message: as the example of its layer or function has it, or its default."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..options import OptionSet

# An argument of an example, which holds no calls.
_KEYWORD = re.compile(r"\w+ *=(?!=)")
# A string, or one character: commas and brackets in a string are no signs.
_PART = re.compile(r'"[^"]*"|.', re.DOTALL)
_ARGUMENT = re.compile(r"(?:(\w+) = )?(\[[^\]]*\]|\"[^\"]*\"|[^,()\s]+)")


def example_of(kind: type[OptionSet], name: str) -> str:
    """`heads = 4`; empty where neither the example nor a default says any."""
    shown = dict(_arguments(kind)).get(name) or _plain(kind.options[name].default)
    return f"{name} = {shown}" if shown else ""


def call_with(kind: type[OptionSet], word: str, call: str, missing: str) -> str:
    """A call as it is written, with the option that is missing as the example has it, or else by its name alone."""
    required = [name for name, field in kind.options.items() if field.required]
    shown = dict(_arguments(kind))
    if missing not in shown:
        sides: frozenset[str] = getattr(kind, "by_name", frozenset())
        given = [f"{name} = value" if name in sides else name for name in required]
        return f"{word}({', '.join(given)})" if missing in required else f"{word}({missing} = ...)"
    if not call.endswith(")"):
        names = [name for name in shown if name in required]
        return f"{word}({', '.join(_spelled(kind, name, shown[name]) for name in names)})"
    more = _spelled(kind, missing, shown[missing])
    args = _written(call[call.index("(") + 1 : -1])
    placed = next((place for place, arg in enumerate(args) if _KEYWORD.match(arg)), len(args))
    if more == shown[missing] and [*kind.options].index(missing) == placed:
        # Without its name it stands before those that have one.
        args.insert(placed, more)
    else:
        args.append(f"{missing} = {shown[missing]}")
    return f"{word}({', '.join(args)})"


def _written(inside: str) -> list[str]:
    """What stands in the parentheses of a call, by its commas."""
    args, depth = [""], 0
    for part in _PART.findall(inside):
        depth += (part in "([{") - (part in ")]}")
        if part == "," and not depth:
            args.append("")
        else:
            args[-1] += part
    return [arg.strip() for arg in args if arg.strip()]


def _arguments(kind: type[OptionSet]) -> Iterator[tuple[str, str]]:
    word, example = getattr(kind, "word", ""), getattr(kind, "example", "")
    inside = re.search(rf"\b{word}\((.*?)\)(?!\w)", example)
    names = list(kind.options)
    for place, (name, value) in enumerate(_ARGUMENT.findall(inside[1]) if inside else ()):
        if name in kind.options or (not name and place < len(names)):
            yield name or names[place], value


def _spelled(kind: type[OptionSet], name: str, value: str) -> str:
    """An argument as the example has it: with its name, or by its place."""
    return f"{name} = {value}" if f"{name} = {value}" in getattr(kind, "example", "") else value


def _plain(value: object) -> str:
    """A default as a spec has it; empty for one that is no plain value."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:g}"
        case str():
            return value
        case tuple() if value and all(isinstance(part, int | float) for part in value):
            return f"[{', '.join(map(_plain, value))}]"
    return ""
