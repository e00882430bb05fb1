"""Parts of the language that this version cannot run: their names are checked, and a note is made."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import Value
from ..layers import registry
from ..semantics.evaluate import FAULT
from ..semantics.language import COMBINATORS, FUNCTIONS, LAYERS, OPTIONS, SPELLINGS, WORDS
from ..semantics.number import MATHS
from .arguments import given_arguments
from .context import Context

_KNOWN = LAYERS | FUNCTIONS | COMBINATORS | MATHS | WORDS


def put_off(what: str, stage: tree.Stage, ctx: Context) -> Value:
    """Note that a stage needs a later version; what is written in it is still held to the language's names."""
    ctx.report.later(what, stage.path.span)
    check_names(stage, ctx)
    return ctx.unknown()


def check_names(node: object, ctx: Context, local: frozenset[str] = frozenset()) -> None:
    """Report names that nothing has and options that a call has not; what is named counts as used."""
    match node:
        case tree.Stage(path=path, args=args, body=body):
            _check_path(path, args is not None or body is not None, ctx, local)
            names = OPTIONS.get(str(path))
            if args is not None and names is not None:
                given_arguments(tree.Stage(path, args, None, span=node.span), names, ctx.report)
            for arg in args or ():
                check_names(arg, ctx, local)
            if body is not None:
                check_names(body, ctx, local)
        case tree.Body(lines=lines):
            inner = local | _given(lines)
            for line in lines:
                check_names(line, ctx, inner)
        case tree.Node():
            for name in node.__dataclass_fields__:
                if name != "span":
                    check_names(getattr(node, name), ctx, local)
        case tuple():
            for item in node:
                check_names(item, ctx, local)


def _check_path(path: tree.Path, called: bool, ctx: Context, local: frozenset[str]) -> None:
    word = path.parts[0]
    found = ctx.env.lookup(word)
    if isinstance(found, Value):
        ctx.unit.consumed.add(ctx.unit.take(found))
    file = ctx.env.file
    if found is not None or found is FAULT or word in local or ctx.env.label(word) is not None:
        return
    if word in _KNOWN or word in file.blocks or word in file.models or word in file.functions:
        return
    if registry.find(word) is not None or len(path.parts) > 1:
        return
    legal = [*LAYERS, *FUNCTIONS, *COMBINATORS, *file.blocks, *file.functions, *(() if called else ctx.env.names())]
    what, code = ("layer or block", "unknown-layer") if word[0].isupper() else ("name", "unknown-name")
    ctx.report.unknown(what, word, path.span, legal, SPELLINGS, code=code)


def _given(lines: tuple[tree.Line, ...]) -> frozenset[str]:
    """The names and labels that a body gives."""
    found: set[str] = set()

    def walk(node: object) -> None:
        match node:
            case tree.Binding(name=name):
                found.add(name.text)
            case tree.Named(names=names):
                found.update(name.text for name in names)
            case tree.Label(name=name):
                found.add(name.text)
            case tree.Stage(path=tree.Path(parts=("repeat",)), args=args):
                for arg in args or ():
                    if isinstance(arg, tree.Keyword) and arg.name.text == "index" and isinstance(arg.value, tree.Stage):
                        found.add(str(arg.value.path))
        if isinstance(node, tree.Node):
            for name in node.__dataclass_fields__:
                if name != "span":
                    walk(getattr(node, name))
        elif isinstance(node, tuple):
            for item in node:
                walk(item)

    walk(lines)
    return frozenset(found)
