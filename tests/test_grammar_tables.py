"""The stored tables: what lark makes of the grammar now, on any machine, and read without lark."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from grammar_trees import Drawer
from lark import Lark, Token
from lark.exceptions import GrammarError, UnexpectedInput
from lark.lexer import Lexer, PatternStr

from dlspec.grammar import Source, format
from dlspec.grammar import tokens as tokens_
from dlspec.grammar.build import GRAMMAR, build, text
from dlspec.grammar.layout import CLOSERS, OPENERS, statements
from dlspec.grammar.lexer import tokens
from dlspec.grammar.parser import _Parser
from dlspec.grammar.tables import END, PATH, tables

pytestmark = pytest.mark.no_torch


def test_the_stored_tables_are_those_of_the_grammar() -> None:
    fresh = text(build(GRAMMAR.read_text(encoding="utf-8")))
    assert PATH.read_bytes() == fresh.encode(), "run: python -m dlspec.grammar.build"


@pytest.mark.parametrize("seed", ["1", "77"])
def test_the_tables_are_the_same_bytes_under_any_hash_seed(seed: str) -> None:
    code = "from dlspec.grammar.build import *; print(text(build(GRAMMAR.read_text(encoding='utf-8'))), end='')"
    run = [sys.executable, "-c", code]
    out = subprocess.run(run, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
    assert out == PATH.read_bytes()


@pytest.mark.parametrize(
    "rule",
    [
        '?sum: term | sum "+" sum -> add',  # shift or reduce
        "?atom: stage | path",  # reduce or reduce
    ],
)
def test_a_grammar_with_a_conflict_is_refused(rule: str) -> None:
    grammar = GRAMMAR.read_text(encoding="utf-8")
    name = rule.partition(":")[0]
    start = grammar.index(f"\n{name}:") + 1
    with pytest.raises(GrammarError):
        build(f"{grammar[:start]}{rule}\n//{grammar[start:]}")


def test_a_check_loads_neither_lark_nor_the_printer() -> None:
    code = (
        "import sys; from dlspec.grammar import Source, parse; parse(Source('a', 'dlspec 1\\nx = 1\\n'));"
        "print(sorted(m for m in sys.modules if m.split('.')[0] == 'lark' or 'mistakes' in m or 'printer' in m))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "[]\n"


def test_loading_is_much_cheaper_than_building() -> None:
    grammar = GRAMMAR.read_text(encoding="utf-8")
    # Calls are counted, since a shared machine keeps no time.
    assert 50 * calls(tables.__wrapped__) < calls(lambda: build(grammar))


def calls(function: Callable[[], object]) -> int:
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


class _Stream(Lexer):
    """Hands lark's own parser a list of token kinds."""

    def __init__(self, conf: Any) -> None:
        self.names = {t.pattern.value: t.name for t in conf.terminals if isinstance(t.pattern, PatternStr)}

    def lex(self, kinds: list[str]) -> Iterator[Token]:  # pyright: ignore[reportIncompatibleMethodOverride]
        for kind in kinds:
            yield Token(self.names.get(kind, kind), kind)


def test_lark_itself_takes_and_refuses_the_same_sentences() -> None:
    lark = Lark(GRAMMAR.read_text(encoding="utf-8"), parser="lalr", lexer=_Stream)
    draw = random.Random(5)
    verdicts = []
    for _ in range(300):
        source = Source("drawn", format(Drawer(draw, 3).file(), Source("nowhere", "")))
        stream, _ = statements(source, tokens(source)[0])
        kinds = [token.kind for token in stream[:-1]]
        for _ in range(draw.randint(0, 2)):
            at = draw.randint(3, len(kinds))
            kinds[at : at + draw.randint(0, 1)] = draw.choices(kinds, k=draw.randint(0, 1))
        if not matches(kinds):
            continue
        verdicts.append(taken_by_lark(lark, kinds))
        assert taken_by_us(source, kinds) is verdicts[-1], " ".join(kinds)
    assert verdicts.count(True) > 50 and verdicts.count(False) > 50


def taken_by_lark(lark: Lark, kinds: list[str]) -> bool:
    try:
        lark.parse(kinds)  # pyright: ignore[reportArgumentType]
    except UnexpectedInput:
        return False
    return True


def taken_by_us(source: Source, kinds: list[str]) -> bool:
    words = {"NUMBER": "1", "STRING": '""', "PERCENT": "1%"}
    parser = _Parser(source, [tokens_.Token(kind, words.get(kind, kind), 0, 0) for kind in (*kinds, END)])
    parser.run()
    return not parser.findings


def matches(kinds: list[str]) -> bool:
    """Whether the brackets match, which the parser is promised."""
    open_: list[str] = []
    for kind in kinds:
        if kind in OPENERS:
            open_.append(OPENERS[kind])
        elif kind in CLOSERS and (not open_ or open_.pop() != kind):
            return False
    return not open_
