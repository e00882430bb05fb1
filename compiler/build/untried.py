"""Defaults of block parameters that every call overrides: nothing builds them, and a wrong one is wrong all the same.

Only the kind of a default can be held against the block: whether `groups = 32` fits depends on what else a call gives.
A default of another kind than what a call gives in its place (a text for a number) is therefore tried in that call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.frozen import Frozen
from ..semantics.evaluate import evaluate, is_number
from ..semantics.report import Report, Unheard
from .arguments import Given
from .env import Env

_WRONG_KIND = ("wrong-value", "not-a-condition")


class _Call(Frozen, eq=False):
    """A call that overrides a default; `build` builds its block with other arguments."""

    block: tree.Block
    param: tree.Param
    given: Given
    env: Env
    build: Callable[[Given, Report], object]


class Untried:
    """The calls of a file's blocks, as far as their defaults go."""

    def __init__(self) -> None:
        self._overridden: dict[tuple[int, str], _Call] = {}
        self._taken: set[tuple[int, str]] = set()

    def called(self, block: tree.Block, given: Given, env: Env, build: Callable[[Given, Report], object]) -> None:
        """Note a call of a block with these arguments."""
        for param in block.params or ():
            key = (id(block), param.name.text)
            if param.name.text not in given:
                self._taken.add(key)
            elif param.default is not None and key not in self._overridden:
                self._overridden[key] = _Call(block, param, given, env, build)

    def check(self, report: Report) -> None:
        """Report the defaults that no call takes and that are of a wrong kind. Each is tried once at most."""
        for key, call in self._overridden.items():
            if key not in self._taken and _of_another_kind(call):
                _try(call, report)


def _of_another_kind(call: _Call) -> bool:
    default, option = call.param.default, call.given[call.param.name.text]
    if not isinstance(default, tree.String | tree.Bool | tree.Number | tree.Percent | tree.List):
        return False
    return _kind(evaluate(default, call.env, Unheard())) != _kind(
        evaluate(option.flow, option.scope or call.env, Unheard())
    )


def _kind(value: Any) -> str:
    return "number" if is_number(value) else type(value).__name__


def _try(call: _Call, report: Report) -> None:
    name, default = call.param.name.text, call.param.default
    assert default is not None
    found = Report()
    call.build({other: option for other, option in call.given.items() if other != name}, found)
    blamed = sorted(_blaming(name, call.block, found.diagnostics), key=lambda finding: _WRONG_KIND.index(finding.code))
    if blamed:
        fault = blamed[0]
        used = fault.labels if fault.span == default.span else ((fault.span, "used here"),)
        report.error(fault.code, fault.message, default.span, fault.label, labels=used, help=fault.help)


def _blaming(name: str, block: tree.Block, found: Iterable[Diagnostic]) -> Iterable[Diagnostic]:
    """The findings about the kind of a parameter of the block, where it is used or where it is handed on."""
    word = re.compile(rf"\b{name}\b")
    for finding in found:
        places = (finding.span, *(span for span, _ in finding.labels))
        inside = (p for p in places if p.source is block.span.source and block.span.start <= p.start < block.span.end)
        if finding.code in _WRONG_KIND and any(word.search(place.text) for place in inside):
            yield finding
