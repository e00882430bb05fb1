"""`default Linear(bias = false)`: options for every later use that is written in the same file, block or model."""

from __future__ import annotations

from ...grammar import tree
from ..semantics.report import Report
from .arguments import Given, Written
from .env import Env


def defaults_for(word: str, at: tree.Node, env: Env) -> Given:
    """The options that the `default` lines above `at` give to `word`; a nearer line wins, option by option."""
    around: list[Env] = []
    scope: Env | None = env
    while scope is not None:
        around.append(scope)
        scope = scope.parent
    lines = [(line, env.file) for line in env.file.defaults]
    lines += [(line, scope) for scope in reversed(around) for line in scope.defaults]
    given: Given = {}
    for line, where in lines:
        above = line.span.source is at.span.source and line.span.start < at.span.start
        if str(line.stage.path) == word and above:
            for arg in line.stage.args or ():
                if isinstance(arg, tree.Keyword):
                    given[arg.name.text] = Written(arg.value, arg.name.span, where)
    return given


def check_default(line: tree.Default, legal: list[str] | None, report: Report) -> None:
    """A default gives options by name, and only those that there are (`legal`; None where the name is unknown)."""
    word = str(line.stage.path)
    if legal is None:
        return
    for arg in line.stage.args or ():
        if not isinstance(arg, tree.Keyword):
            report.error(
                "default-by-position",
                "a default gives its options by name",
                arg.span,
                "which option is this?",
                help=f"`default {word}(option = {arg.span.text})`, with one of {', '.join(legal)}",
            )
        elif arg.name.text not in legal:
            report.unknown("option", arg.name.text, arg.name.span, legal, where=f" of `{word}`", code="unknown-option")
    if not line.stage.args:
        report.error("empty-default", f"this default gives `{word}` no option", line.span, "nothing is set here")
