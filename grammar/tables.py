"""The parser's tables as build.py left them in tables.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from .frozen import Frozen

PATH = Path(__file__).with_name("tables.json")
END = "end of file"


class Rule(Frozen):
    """One production. `node` names what it makes, or is None where its one child passes through.

    `children` are positions in the production: None for an optional part left out, ~position for a helper rule whose
    children are spliced in.
    """

    symbol: str
    length: int
    node: str | None
    children: tuple[int | None, ...]


class Tables(Frozen):
    """Token patterns and an LALR(1) automaton. State 0 starts; `final` ends.

    `actions[state][token kind]` is the next state (shift) or ~rule (reduce); `gotos[state][symbol]` follows a reduce.
    """

    patterns: dict[str, str]
    ignored: tuple[str, ...]
    literals: tuple[str, ...]
    rules: tuple[Rule, ...]
    final: int
    actions: list[dict[str, int]]
    gotos: list[dict[str, int]]


@cache
def tables() -> Tables:
    data = json.loads(PATH.read_text(encoding="utf-8"))
    rules = tuple(Rule(symbol, length, node, tuple(children)) for symbol, length, node, children in data["rules"])
    return Tables(
        patterns=data["patterns"],
        ignored=tuple(data["ignored"]),
        literals=tuple(data["literals"]),
        rules=rules,
        final=data["final"],
        actions=data["actions"],
        gotos=data["gotos"],
    )
