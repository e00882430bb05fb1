"""Names and values in text that nothing builds: a block that no model places, the side of an `if` that is not chosen.

They are held to the language all the same, and what they name counts as used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..ir.graph import Value
from ..layers import registry
from ..layers.options import AXES, INITIAL
from ..semantics.arithmetic import MATHS
from ..semantics.evaluate import FAULT
from ..semantics.language import COMBINATORS, IDENTITY, SPELLINGS, functions, is_library, layers
from ..semantics.nearest import nearest
from ..semantics.report import Unheard
from . import residuals
from .arguments import all_of, given_arguments, given_to_layer, option_meant, words_of
from .context import Context
from .counts import COUNTS, read_count
from .defaults import COMBINATOR_OPTIONS, COMBINATOR_OPTIONS_BY_NAME, DEEPNORM, TAKES_DEFAULTS
from .plain_values import check_value, names_nothing
from .repeated_names import report_repeated

_WORDS = frozenset({DEEPNORM})
"""Bare words of combinators; those of layers are known to their options."""

_OF_LAYERS = {
    ("dense", "axis"): ("concat", "axis"),
    ("project", "out"): ("Conv2d", "features"),
    ("project", "stride"): ("Conv2d", "stride"),
}
"""Options of combinators that are those of a layer."""


class Local(Frozen):
    """Names of a body, over those of the bodies around it: a thousand small bodies do not copy what is around them.

    `words` are those that an option takes there: that of the name, or any where it stands without one.
    """

    names: frozenset[str]
    around: Local | None = None
    words: frozenset[str] = frozenset()
    by_name: bool = False

    def __contains__(self, name: object) -> bool:
        return any(name in scope.names for scope in self._scopes())

    def __iter__(self) -> Iterator[str]:
        return (name for scope in self._scopes() for name in scope.names)

    def _scopes(self) -> Iterator[Local]:
        scope: Local | None = self
        while scope is not None:
            yield scope
            scope = scope.around

    def within(self, names: frozenset[str]) -> Local:
        return Local(names, self) if names else self

    def with_words(self, words: frozenset[str], by_name: bool) -> Local:
        return Local(words, self, words, by_name and bool(words)) if words or self.words else self

    def given(self) -> Iterator[str]:
        """The names, without the words of options."""
        return (name for scope in self._scopes() for name in scope.names if not scope.words)


NO_NAMES = Local(frozenset())


def check_names(node: object, ctx: Context, local: Local = NO_NAMES) -> None:
    """Report names that nothing has, options that a call has not and values that an option does not take; what is
    named counts as used."""
    match node:
        case tree.Stage(args=args):
            _check_call(node, args, ctx, local)
        case tree.Default(stage=stage):
            # What stands there without a name is told with the line, and so is what no default reaches.
            reached = str(stage.path) == TAKES_DEFAULTS or str(stage.path) not in COMBINATOR_OPTIONS
            options = tuple(arg for arg in stage.args or () if isinstance(arg, tree.Keyword))
            _check_call(stage, options, ctx if reached else ctx.within(report=Unheard()), local)
        case tree.Body(lines=lines):
            inner = local.within(_given(lines))
            for line in lines:
                check_names(line, ctx, inner)
        case tree.Node():
            for name in node.__dataclass_fields__:
                if name != "span":
                    check_names(getattr(node, name), ctx, local)
        case tuple():
            for item in node:
                check_names(item, ctx, local)


def _check_call(
    stage: tree.Stage, options: tuple[tree.Flow | tree.Keyword, ...] | None, ctx: Context, local: Local
) -> None:
    path, args, body = stage.path, stage.args, stage.body
    _check_path(path, args is not None or body is not None, ctx, local)
    if options is not None and path.parts[0] not in local:
        _check_options(tree.Stage(path, options, None, span=stage.span), ctx)
    for arg in args or ():
        if not isinstance(arg, tree.Keyword):
            check_names(arg, ctx, local.with_words(_option_words(path, arg, None, ctx), by_name=False))
            continue
        name = arg.name.text if path.parts[0] in local else _meant(path, arg.name.text, ctx)
        # Of an option that there is not, nobody knows what its value should be: what stands there is used, no more.
        around = ctx if name else ctx.within(report=Unheard())
        check_names(arg.value, around, local.with_words(_option_words(path, arg.value, name, ctx), by_name=True))
    if body is not None:
        check_names(body, ctx, local)


def _check_options(stage: tree.Stage, ctx: Context) -> None:
    word = str(stage.path)
    layer, block = ctx.env.file.layer(word), ctx.env.file.blocks.get(word)
    if layer is not None:
        misfits: list[str] = []
        for name, option in (given_to_layer(layer, stage, ctx.report, misfits) or {}).items():
            if names_nothing(option.flow):
                check_value(layer, name, option.flow, ctx.env, ctx.report)
    elif block is not None and not report_repeated(block, ctx.report):
        names = [name for name, _ in parameters(block)]
        sides = names[len(block.params or ()) :]
        given_arguments(stage, names, ctx.report, by_name=sides, there_are=taken_by(block))
    elif word in COMBINATOR_OPTIONS:
        if word != "residual" or all(isinstance(arg, tree.Keyword) for arg in stage.args or ()):
            by_name = COMBINATOR_OPTIONS_BY_NAME.get(word, ())
            given = given_arguments(stage, COMBINATOR_OPTIONS[word], ctx.report, by_name=by_name)
            if word == "residual":
                residuals.check_values(given or {}, ctx)
            for name, option in (given or {}).items():
                _check_combinator(word, name, option.flow, ctx)
    elif word == IDENTITY:
        given_arguments(stage, (), ctx.report)
    elif not (word in ctx.env.file.flows() or word in MATHS or is_library(word) or ctx.env.find(word) is not None):
        check_options_of_meant(stage, ctx)


def check_options_of_meant(stage: tree.Stage, ctx: Context) -> None:
    """Report the misspelt options of a call that is misspelt itself: they are those of the layer or block that was
    meant. Another tool's layer has other options, which nobody knows here."""
    word, file = str(stage.path), ctx.env.file
    meant = None if word in SPELLINGS else nearest(word, {*layers(), *functions(), *file.blocks, *file.layers})
    layer, block = (file.layer(meant), file.blocks.get(meant)) if meant else (None, None)
    if layer is not None and not layer.keywords:  # where any name is an option, none is misspelt
        legal = list(layer.options)
    elif block is not None:
        legal = [name for name, _ in parameters(block)]
    else:
        return
    args = tuple(
        arg
        for arg in stage.args or ()
        if isinstance(arg, tree.Keyword) and (arg.name.text in legal or option_meant(arg.name.text, legal))
    )
    given_arguments(tree.Stage(stage.path, args, None, span=stage.span), legal, ctx.report)


def _check_combinator(word: str, name: str, flow: tree.Flow, ctx: Context) -> None:
    """Report a wrong count of a combinator that is not built, or a wrong value for the layer that it puts in."""
    if not names_nothing(flow):
        return
    if (word, name) in COUNTS:
        read_count(word, name, flow, ctx.env, ctx.report)
    elif (word, name) in _OF_LAYERS:
        layer, option = _OF_LAYERS[word, name]
        check_value(registry.get(layer), option, flow, ctx.env, ctx.report)


def taken_by(block: tree.Block) -> str:
    """What a block is given, for a message: "its parameters are `heads`, `mlp`; its further input is `mask`"."""
    params = [param.name.text for param in block.params or ()]
    sides = [name for name, _ in parameters(block)[len(params) :]]
    kinds = (("parameter", params), ("further input", sides))
    return "; ".join(all_of(what, names) for what, names in kinds if names)


def parameters(block: tree.Block) -> list[tuple[str, Span]]:
    """What a block is given by name: its parameters, and its inputs after the first."""
    ports = block.signature.inputs[1:] if block.signature else ()
    named = [*(block.params or ()), *(port for port in ports if port.name)]
    return [(entry.name.text, entry.span) for entry in named if entry.name]


def _meant(path: tree.Path, name: str, ctx: Context) -> str:
    """The option that a keyword of a call gives, or was probably meant to give; an empty text where that is not
    clear. Of what nothing is known, each has its own name."""
    file, word = ctx.env.file, str(path)
    layer, block = file.layer(word), file.blocks.get(word)
    if layer is not None:
        legal: list[str] = [*layer.options, *((name,) if layer.keywords else ())]
    elif block is not None:
        legal = [param for param, _ in parameters(block)]
    elif word in COMBINATOR_OPTIONS:
        legal = list(COMBINATOR_OPTIONS[word])
    elif word in file.functions:
        legal = [param.name.text for param in file.functions[word].params]
    else:
        return name
    return name if name in legal else option_meant(name, legal)


def _option_words(path: tree.Path, value: tree.Node, name: str | None, ctx: Context) -> frozenset[str]:
    """The bare words that an option of a layer takes, or any where it stands without its name, and names of axes,
    which are looked up in what comes in."""
    file, word = ctx.env.file, str(path)
    layer = file.layer(word)
    if layer is None and word not in file.flows() and word not in MATHS and not is_library(word):
        layer = file.layer(nearest(word, (*layers(), *functions()), SPELLINGS) or "")  # a misspelt one has them too
    if layer is None:
        return frozenset()
    options = list(layer.options) if name is None else [name]
    kinds = [field.kind for name in options if (field := layer.options.get(name)) is not None]
    axes = _capitals(value) if any(kind is not None and kind.reads == AXES for kind in kinds) else frozenset()
    # `init = normal(0.02)` is no call of the function `normal`.
    begun = {"normal"} if any(kind is not None and kind.reads == INITIAL for kind in kinds) else set[str]()
    return axes.union(begun, *(words_of(layer, name) for name in options))


def _capitals(node: object) -> frozenset[str]:
    """The Capital names of a list, or the one that stands alone."""
    match node:
        case tree.List(entries=entries):
            return frozenset().union(*map(_capitals, entries))
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if name[0].isupper():
            return frozenset({name})
    return frozenset()


def _check_path(path: tree.Path, called: bool, ctx: Context, local: Local) -> None:
    word = path.parts[0]
    found = ctx.env.lookup(word)
    if isinstance(found, Value):
        ctx.unit.consumed.add(ctx.unit.take(found))
    file = ctx.env.file
    if found is not None or found is FAULT or word in local or ctx.env.label(word) is not None:
        return
    if word in MATHS or word in _WORDS or word in file.flows() or is_library(word) or len(path.parts) > 1:
        return
    report_unknown(path, called=called, ctx=ctx, local=local)


def report_unknown(path: tree.Path, *, called: bool, ctx: Context, local: Iterable[str] = ()) -> None:
    """A stage that is nothing: no layer or block, no function, no name."""
    word, file = path.parts[0], ctx.env.file
    models = [name for name, model in file.models.items() if not _holds(model, path)]
    library = [*layers(), *functions(), *COMBINATORS, *file.blocks, *models, *file.layers]
    if called and ctx.env.label(word) is not None:
        ctx.report.error(
            "not-a-flow",
            f"`{word}` is a module that is there already, with the options and further inputs that it was made with",
            path.span,
            "made already",
            help=f"write `{word}` alone; for other values, name the flow with `=` where it is made, and use that name",
        )
    elif word in file.ruleless:
        place = file.ruleless[word]
        ctx.report.error(
            "unknown-layer",
            f"`{word}` has no shape rule, so it is no layer",
            path.span,
            "a class of Python",
            labels=((place, "this class"),),
            help="give the class a static method `shape(input_shape, ...)` that returns the dims that leave",
        )
    elif word in file.models_elsewhere:
        model = file.models_elsewhere[word].name.span
        message, label = f"`{word}` is a model of another file, and an import brings blocks", "not brought"
        help, labels = f"make it a block there: `block {word}: ...`", ((model, "a model"),)
        ctx.report.error("unknown-layer", message, path.span, label, labels=labels, help=help)
    elif word[:1].isupper():
        legal = [*library, *(() if called else ctx.env.names())]
        ctx.report.unknown("layer or block", word, path.span, legal, SPELLINGS, code="unknown-layer")
    elif called and word in file.constants:
        message, label = (
            f"`{word}` is a constant of this file, with the options that it was given there",
            "given already",
        )
        help = f"write `{word}` alone; what takes other options each time is a block with parameters"
        ctx.report.error("unknown-function", message, path.span, label, help=help)
    elif called:
        legal = [*library, *MATHS, *file.functions]
        ctx.report.unknown("function", word, path.span, legal, SPELLINGS, code="unknown-function")
    else:
        own = [*ctx.env.names(), *(local.given() if isinstance(local, Local) else ()), *file.functions]
        legal = [*own, *local, *library, *MATHS, "true", "false", "none"]
        if isinstance(local, Local) and local.by_name and nearest(word, legal) not in own:
            legal = [*local.words, "none"]
        ctx.report.unknown("name", word, path.span, legal, SPELLINGS, own=own)


def _holds(model: tree.Model, path: tree.Path) -> bool:
    """Whether a place is in a model, which cannot be meant there."""
    return model.span.source is path.span.source and model.span.start <= path.span.start < model.span.end


def is_index(arg: tree.Keyword) -> bool:
    """Whether an option of what may be a `repeat` is, or was meant to be, the name of its index."""
    return option_meant(arg.name.text, ["index"]) == "index"


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
            case tree.Keyword(value=tree.Stage(path=path)) if is_index(node):
                found.add(str(path))  # of a `repeat`, which may be misspelt itself
            case tree.Stage(path=tree.Path(parts=("repeat",)), args=(_, tree.Stage(path=path, args=None))):
                found.add(str(path))  # its index without the name of the option, which is told there
        if isinstance(node, tree.Node):
            for name in node.__dataclass_fields__:
                if name != "span":
                    walk(getattr(node, name))
        elif isinstance(node, tuple):
            for item in node:
                walk(item)

    walk(lines)
    return frozenset(found)
