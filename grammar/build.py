"""Builds tables.json, the LALR(1) tables of the language, from dlspec.lark:  python -m dlspec.grammar.build

Lark turns the grammar into tables once, here; parser.py reads them back as plain data, so that a check neither imports
lark nor builds anything. States and rules are numbered in an order of our own (breadth first from the start,
symbols sorted), because lark's numbering depends on the hash seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import Lexer, PatternStr, TerminalDef

from .tables import END, PATH

GRAMMAR = Path(__file__).with_name("dlspec.lark")


class _NoLexer(Lexer):
    """Stands in for lark's lexers: lexer.py reads the text. It also lets `strict` run without lark's extra package."""

    def __init__(self, conf: Any) -> None: ...

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
        raise TypeError("lark only builds the tables")


def build(grammar: str) -> dict[str, Any]:
    """The tables as plain data. Raises lark's GrammarError where the grammar has a conflict."""
    lark = Lark(grammar, parser="lalr", lexer=_NoLexer, strict=True, maybe_placeholders=True)
    kinds = {t.name: _kind(t) for t in lark.terminals} | {"$END": END}
    rules = sorted({(*_rule(rule, kinds), rule) for rule in lark.rules}, key=lambda entry: entry[:2])
    numbers = {rule: number for number, (_, _, rule) in enumerate(rules)}
    actions, gotos, final = _states(lark, kinds, numbers)
    patterns = [t for t in lark.terminals if not isinstance(t.pattern, PatternStr)]
    ranked = sorted(patterns, key=lambda t: -t.priority)
    return {
        "patterns": {t.name: t.pattern.value for t in ranked if t.name not in lark.ignore_tokens},
        "ignored": [t.pattern.value for t in ranked if t.name in lark.ignore_tokens],
        "literals": sorted(t.pattern.value for t in lark.terminals if isinstance(t.pattern, PatternStr)),
        "rules": [[rule.origin.name, len(rule.expansion), *_meaning(rule)] for _, _, rule in rules],
        "final": final,
        "actions": actions,
        "gotos": gotos,
    }


def text(tables: dict[str, Any]) -> str:
    """The tables as JSON, one rule or state a line."""
    fields = []
    for key, value in tables.items():
        if isinstance(value, list):
            lines = ",\n  ".join(json.dumps(entry, sort_keys=isinstance(entry, dict)) for entry in value)
            fields.append(f"{json.dumps(key)}: [\n  {lines}\n]")
        else:
            fields.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _kind(terminal: TerminalDef) -> str:
    """A token's kind: the text itself for a keyword or sign, the terminal's name for a pattern."""
    return terminal.pattern.value if isinstance(terminal.pattern, PatternStr) else terminal.name


def _rule(rule: Rule, kinds: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    return rule.origin.name, tuple(kinds.get(s.name, s.name) for s in rule.expansion)


def _meaning(rule: Rule) -> tuple[str | None, list[int | None]]:
    """The name of the node that a rule makes (None: its one child passes through) and which symbols are its children.

    A child is the position of a symbol, None where an optional part is left out, or ~position of a helper rule, whose
    children are spliced in.
    """
    places = rule.options.empty_indices or (False,) * len(rule.expansion)
    symbols = iter(enumerate(rule.expansion))
    picks: list[int | None] = []
    for empty in places:
        if empty:
            picks.append(None)
            continue
        position, symbol = next(symbols)
        if symbol.is_term and symbol.filter_out:  # pyright: ignore[reportAttributeAccessIssue]
            continue
        picks.append(~position if symbol.name.startswith("_") else position)
    if rule.alias or not (rule.options.expand1 and len(picks) == 1):
        return rule.alias or rule.origin.name, picks
    return None, picks


def _states(
    lark: Lark, kinds: dict[str, str], numbers: dict[Rule, int]
) -> tuple[list[dict[str, int]], list[dict[str, int]], int]:
    """Actions (shift: the next state; reduce: ~rule) and gotos of every state, and the state that ends a parse."""
    table = lark.parser.parser._parse_table
    order = [table.start_states["start"]]
    seen = {order[0]: 0}
    for state in order:
        for _, (action, target) in sorted(table.states[state].items()):
            if action.name == "Shift" and target not in seen:
                seen[target] = len(order)
                order.append(target)
    actions, gotos = [], []
    for state in order:
        entries = table.states[state]
        actions.append(
            {
                kinds[name]: seen[target] if action.name == "Shift" else ~numbers[target]
                for name, (action, target) in entries.items()
                if name in kinds
            }
        )
        gotos.append({name: seen[target] for name, (_, target) in entries.items() if name not in kinds})
    return actions, gotos, seen[table.end_states["start"]]


if __name__ == "__main__":
    PATH.write_text(text(build(GRAMMAR.read_text(encoding="utf-8"))), encoding="utf-8", newline="\n")
