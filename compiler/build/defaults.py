"""`default Linear(bias = false)`: options for every later use that is written in the same file, block or model."""

from __future__ import annotations

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.language import OPTION_SPELLINGS, SPELLINGS, functions, layers
from ..semantics.report import Report
from ..semantics.resolve import FileScope
from .arguments import Given, Written
from .env import Env
from .ties import TIED

REPEAT_OPTIONS = ("count", "index")
COMBINATOR_OPTIONS_BY_NAME = {"repeat": ("index",)}
"""A name without one would be taken for a number that is known."""
RESIDUAL_OPTIONS = ("pre", "out", "post", "drop", "skip", "scale", "gain", "layer_scale", "gate", "drop_path")
DEEPNORM = "deepnorm"
"""The bare word that `scale` of residual takes."""
SHARE_OPTIONS = ("n",)
DENSE_OPTIONS = ("axis",)
MOMENTUM_OPTIONS = ("label", "rate")
EXPERTS_OPTIONS = ("n", "top", "balance")
PROJECT_OPTIONS = ("out", "stride")

COMBINATOR_OPTIONS: dict[str, tuple[str, ...]] = {
    "residual": RESIDUAL_OPTIONS,
    "repeat": REPEAT_OPTIONS,
    "share": SHARE_OPTIONS,
    "dense": DENSE_OPTIONS,
    "checkpoint": (),
    "experts": EXPERTS_OPTIONS,
    "momentum_copy": MOMENTUM_OPTIONS,
    "project": PROJECT_OPTIONS,
}
"""Combinator -> its options, in the order in which they may stand without a name; residual takes names only."""
TAKES_DEFAULTS = "residual"
"""The one combinator that `default` lines reach: it has options enough."""


def defaults_for(word: str, at: tree.Node, env: Env) -> Given:
    """The options that the `default` lines above `at` give to `word`; a nearer line wins, option by option."""
    if env.inside_library:
        return {}
    around: list[Env] = []
    scope: Env | None = env
    while scope is not None:
        around.append(scope)
        scope = scope.parent
    lines = [(line, env.file) for line in env.file.defaults]
    lines += [(line, scope) for scope in reversed(around) for line in scope.defaults]
    given: Given = {}
    for line, where in lines:
        above = line.span.source is at.span.source and line.span.end <= at.span.start
        if str(line.stage.path) == word and above:
            for arg in line.stage.args or ():
                if isinstance(arg, tree.Keyword):
                    given[arg.name.text] = Written(arg.value, arg.name.span, where)
    return given


def _by_name(word: str, given: str, legal: list[str]) -> str:
    if "pre" in legal:
        return f"write `default {word}(pre = {given})` or `default {word}(post = {given})`"
    if len(legal) == 1:
        return f"write `default {word}({legal[0]} = {given})`"
    return f"write `default {word}(option = {given})` with one of {', '.join(f'`{name}`' for name in legal)}"


def check_default(line: tree.Default, file: FileScope, report: Report) -> None:
    """A default gives options by name, only those that there are, and nothing else."""
    word = str(line.stage.path)
    if line.stage.body is not None and line.stage.args:
        _report_body(line, line.stage.body, report)
    legal = _legal(line, file, report)
    if legal is None:
        return
    kind = file.layer(word)
    for arg in line.stage.args or ():
        if not isinstance(arg, tree.Keyword):
            report.error(
                "default-by-position",
                "a default gives its options by name",
                arg.span,
                "which option is this?",
                help=_by_name(word, arg.span.text, legal),
            )
        elif kind is not None and arg.name.text == TIED and TIED in kind.options:
            _report_tie(line, arg, report)
        elif not legal:
            fixes = (Fix(line.span, ""),)
            message = f"`{word}` takes no options"
            report.error("unknown-option", message, arg.span, "here", help="take the line out", fixes=fixes)
        elif arg.name.text not in legal:
            name, place = arg.name.text, arg.name.span
            message = f"`{word}` has no option `{name}`"
            report.unknown("option", name, place, legal, OPTION_SPELLINGS, code="unknown-option", message=message)
    if not line.stage.args:
        report.error("empty-default", f"this default gives `{word}` no option", line.span, "nothing is set here")


def _report_body(line: tree.Default, body: tree.Body, report: Report) -> None:
    source, start = body.span.source, line.span.start
    kept = source.span(start, body.span.start).text.rstrip()
    dropped = source.span(start + len(kept), body.span.end)
    message, help = "a default gives options, and runs nothing", f"write `{kept}`"
    report.error("unexpected-body", message, body.span, "never run", help=help, fixes=(Fix(dropped, ""),))


def _report_tie(line: tree.Default, arg: tree.Keyword, report: Report) -> None:
    """A tie is one layer's: as a default it would be that of all layers below, whatever their shape."""
    others = [other for other in line.stage.args or () if other is not arg]
    kept = f"default {line.stage.path}({', '.join(other.span.text for other in others)})" if others else ""
    instead = f"write it in the `{line.stage.path}` that is tied, or take it out"
    report.error(
        "bad-tie",
        f"`{TIED}` ties one layer to another, so no default gives it",
        arg.span,
        "ties nothing here",
        help="take it out" if isinstance(arg.value, tree.Nothing) else instead,
        fixes=(Fix(line.span, kept),),
    )


def _legal(line: tree.Default, file: FileScope, report: Report) -> list[str] | None:
    """The options that a default may give, or None where it is for something unknown (reported)."""
    word = str(line.stage.path)
    if word in COMBINATOR_OPTIONS:
        return list(COMBINATOR_OPTIONS[word])
    kind = file.layer(word)
    if kind is not None:
        return [name for name in kind.options if name != TIED]
    block = file.blocks.get(word)
    if block is not None:
        return [param.name.text for param in block.params or ()]
    legal = [*layers(), *functions(), *COMBINATOR_OPTIONS, *file.blocks, *file.layers]
    what, code = ("layer or block", "unknown-layer") if word[:1].isupper() else ("function", "unknown-function")
    other = _without_defaults(word, file)
    if other is None:
        report.unknown(what, word, line.stage.path.span, legal, SPELLINGS, code=code)
        return None
    message = f"`{word}` is {other}, and a default gives options to layers, functions of the language and blocks"
    where = f"write `{line.stage.span.text}` where it is used" if word in file.functions else "take the line out"
    report.error(code, message, line.stage.path.span, "not reached by defaults", help=where)
    return None


def _without_defaults(word: str, file: FileScope) -> str | None:
    """What a name stands for that no default reaches; None where it stands for nothing."""
    from ..training.language import OPTIMIZERS  # loaded when a name is looked for in vain

    if word in file.functions:
        return "a function of this file"
    if word in file.models:
        return "a model"
    if word in file.constants:
        return "a constant of this file"
    return "an optimizer" if word in OPTIMIZERS.words else None


def check_file_defaults(file: FileScope, report: Report) -> None:
    """The `default` lines that stand outside every body."""
    for line in file.defaults:
        check_default(line, file, report)
