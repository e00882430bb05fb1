"""Every name of a file is one that there is, and every name that is given is used: whether anything runs it or not.

A block that no model places, a default that nothing takes and the side of an `if` that is not chosen are never built;
a misspelt word in them is a mistake all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..semantics.evaluate import Recipe
from ..semantics.report import Report
from ..semantics.resolve import FileScope
from .context import Context
from .draft import UnitDraft
from .env import Env
from .labels import check_name
from .reach import check_default_values, check_defaults_reach, check_repeated_defaults
from .repeated_names import report_repeated
from .written_names import Local, check_names, parameters


def check_spelling(scope: FileScope, report: Report) -> None:
    """Report what no stage, option or name is called, in every block and model, constant and default."""
    for item in scope.file.items:
        for name in _names_given(item):
            check_name(name, report)
        draft = UnitDraft("block", "", item.span, None, frozenset())
        ctx = Context(report, draft, Env(None, scope))
        match item:
            case tree.Constant(name=name, value=value) if isinstance(scope.find(name.text), Recipe):
                check_names(value, ctx)
            case tree.Default():
                check_names(item, ctx)
                check_default_values(item, scope, scope, report)
            case tree.Block(body=body):
                given = frozenset(name for name, _ in parameters(item)) | _ports(item.signature)
                for param in item.params or ():
                    check_names(param.default, ctx, Local(given))
                check_names(body, ctx, Local(given))
                report_repeated(item, report)
                _check_parameters(item, report)
            case tree.Model(body=body, signature=signature):
                check_names(body, ctx, Local(_ports(signature)))
    check_repeated_defaults(scope, report)


def check_used(scope: FileScope, report: Report) -> None:
    """Warn of imports, constants, functions, blocks and defaults that nothing in a file with a model uses.

    Beside errors only blocks are told: what else is used may depend on how these are mended.
    """
    if not scope.models:
        return
    if report.failed:
        if not (scope.file.unread or report.names_elsewhere):
            offered = {word for found in report.diagnostics for word in re.findall(r"\w+", found.help)}
            _check_given(scope.blocks, _used_words(scope) | offered, scope, report)
        return
    check_defaults_reach(scope, report)
    used = _used_words(scope)
    imports = [item for item in scope.file.items if isinstance(item, tree.Import)]
    for item, file in zip(imports, scope.imported, strict=False):
        if used.isdisjoint(file.brings()):
            message, fix = f"nothing uses what `import {item.what.span.text}` brings", Fix(_line_of(item), "")
            help = "take the line out"
            report.error("unused-name", message, item.span, "never used", help=help, fixes=(fix,), severity="warning")
    _check_given({**scope.constants, **scope.functions, **scope.blocks}, used, scope, report)


def _used_words(scope: FileScope) -> set[str]:
    """The names that the items of a file use, each for others than itself."""
    used: set[str] = set()
    for item in scope.file.items:
        own = item.name.text if isinstance(item, tree.Constant | tree.Function | tree.Block) else None
        if not isinstance(item, tree.Import):
            used.update(word for word in _words(item) if word != own)
    return used


def _check_given(
    given: Mapping[str, tree.Constant | tree.Function | tree.Block],
    used: set[str],
    scope: FileScope,
    report: Report,
) -> None:
    for name, item in given.items():
        if name not in used and name not in scope.owners:
            what = "constant" if name in scope.constants else "function" if name in scope.functions else "block"
            message = f"nothing uses the {what} `{name}`"
            report.error("unused-name", message, item.name.span, "never used", help="take it out", severity="warning")


def _line_of(item: tree.Import) -> Span:
    """The whole line, with a comment behind it and its end."""
    text, end = item.span.source.text, item.span.end
    newline = text.find("\n", end)
    return Span(item.span.source, item.span.start, len(text) if newline < 0 else newline + 1)


def _names_given(node: object) -> Iterator[tree.Name]:
    """The names that become Python's: not those of dims, options, sections and phases, nor labels."""
    match node:
        case tree.Constant(name=name, value=value) | tree.Binding(name=name, value=value):
            yield name
            yield from _names_given(value)
        case tree.Named(names=names, flow=flow):
            yield from names
            yield from _names_given(flow)
        case (
            tree.Block(name=name) | tree.Model(name=name) | tree.Param(name=name) | tree.Port(name=tree.Name() as name)
        ):
            yield name
            yield from (given for part in _parts(node) for given in _names_given(part))
        case tree.Keyword(name=tree.Name(text="index"), value=tree.Stage(path=tree.Path(parts=(text,)) as path)):
            yield tree.Name(text, span=path.span)
        case tree.Train() | tree.Export() | tree.Shape():
            return
        case tree.Node():
            yield from (given for part in _parts(node) for given in _names_given(part))
        case tuple():
            yield from (given for part in node for given in _names_given(part))


def _parts(node: tree.Node) -> Iterator[object]:
    return (getattr(node, name) for name in node.__dataclass_fields__ if name != "span")


def _check_parameters(block: tree.Block, report: Report) -> None:
    used = {word for part in (block.signature, block.body, *_defaults(block)) for word in _words(part)}
    for param in block.params or ():
        if param.name.text not in used:
            message, help = f"nothing uses `{param.name}`", "use it or take it out"
            report.error("unused-name", message, param.name.span, "given here, and never used", help=help)


def _defaults(block: tree.Block) -> list[tree.Flow]:
    return [param.default for param in block.params or () if param.default is not None]


def _ports(signature: tree.Signature | None) -> frozenset[str]:
    """The names of a signature: of its inputs, and of all dims (one that no input binds is told there)."""
    dims = (word for word in _words(signature) if word[0].isupper())
    return frozenset(dims) | {port.name.text for port in (signature.inputs if signature else ()) if port.name}


def _words(node: object) -> Iterator[str]:
    """The first word of every path."""
    match node:
        case tree.Path(parts=parts):
            yield parts[0]
        case tree.Node():
            yield from (word for part in _parts(node) for word in _words(part))
        case tuple():
            yield from (word for part in node for word in _words(part))
