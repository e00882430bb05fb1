"""Arguments of a call become the options of a layer: by position, by name, or from a `default` line."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..ir.graph import Value
from ..options import BadOptions, OptionSet
from ..semantics.arithmetic import spell
from ..semantics.evaluate import FAULT, Scope, evaluate
from ..semantics.language import OPTION_SPELLINGS
from ..semantics.nearest import nearest
from ..semantics.number import written
from ..semantics.report import Report

if TYPE_CHECKING:
    from ..layers.base import Layer

Options = TypeVar("Options", bound=OptionSet)


class Written(Frozen):
    """What was written for an option: the flow, the place of its name, and where its own names are looked up.

    `scope` is None for the scope of the call.
    """

    flow: tree.Flow
    place: Span
    scope: Scope | None = None


Given = dict[str, Written]


def gathered(kind: type[Layer], stage: tree.Stage) -> tree.Stage:
    """The call with what one option takes together as one list: all that stands without a name, where the layer is
    `variadic`, and all that is given by a name that is no option's, where it has `keywords`."""
    args = stage.args or ()
    nameless = () if kind.variadic is None else tuple(arg for arg in args if not isinstance(arg, tree.Keyword))
    others = () if kind.keywords is None else _no_options(args, kind)
    gathered: list[tree.Keyword] = []
    if kind.variadic is not None and nameless:
        span = nameless[0].span.to(nameless[-1].span)
        gathered.append(tree.Keyword(tree.Name(kind.variadic, span=span), tree.List(nameless, span=span), span=span))
    if kind.keywords is not None and others:
        span = others[0].span.to(others[-1].span)
        pairs = tuple(tree.Entry(tree.Path((k.name.text,), span=k.name.span), k.value, span=k.span) for k in others)
        gathered.append(tree.Keyword(tree.Name(kind.keywords, span=span), tree.List(pairs, span=span), span=span))
    if not gathered:
        return stage
    alone = tuple(arg for arg in args if arg not in nameless and arg not in others)
    by_place = (*alone, *gathered) if kind.variadic is None else (*gathered, *alone)
    return tree.Stage(stage.path, by_place, stage.body, span=stage.span)


def _no_options(args: Sequence[tree.Node], kind: type[Layer]) -> tuple[tree.Keyword, ...]:
    return tuple(arg for arg in args if isinstance(arg, tree.Keyword) and arg.name.text not in kind.options)


def given_to_layer(
    kind: type[Layer], stage: tree.Stage, report: Report, misfits: list[str] | None = None
) -> Given | None:
    """The arguments of a layer's call, as `given_arguments`; what needs its name and stands without it is reported."""
    placed = [name for name in kind.options if name not in kind.by_name]
    call = gathered(kind, stage)
    beyond = [arg for arg in (call.args or ())[len(placed) :] if not isinstance(arg, tree.Keyword)]
    if kind.by_name and beyond:
        free = [name for name in kind.options if name in kind.by_name]
        for arg, name in zip(beyond, free, strict=False):
            _report_by_position(kind.word, name, arg, report)
        kept = tuple(arg for arg in call.args or () if arg not in beyond)
        call = tree.Stage(call.path, kept, call.body, span=call.span)
        if misfits is not None:
            misfits += free
    required = {name for name, field in kind.options.items() if field.required}
    return given_arguments(call, placed, report, unplaced=kind.by_name, misfits=misfits, required=required)


def _report_by_position(word: str, name: str, arg: tree.Node, report: Report) -> None:
    report.error(
        "option-by-position",
        f"`{name}` of `{word}` is given by its name",
        arg.span,
        "which option is this?",
        help=f"write `{word}({name} = {arg.span.text})`",
        fixes=(Fix(arg.span, f"{name} = {arg.span.text}"),),
    )


def given_arguments(
    stage: tree.Stage,
    names: Sequence[str],
    report: Report,
    *,
    by_name: Container[str] = (),
    unplaced: frozenset[str] = frozenset(),
    spellings: Mapping[str, str] = OPTION_SPELLINGS,
    misfits: list[str] | None = None,
    there_are: str = "",
    required: Container[str] = (),
) -> Given | None:
    """The arguments of a call by option name; None where one of them fits no option (reported).

    What `--set` has put into a call takes the place of what the file gives there, also by position.

    `names` are the options in the order in which they may stand without their name, which is reported of those that
    are in `by_name` too; `unplaced` are those that always have it. `spellings` are other tools' words; one that holds a
    `{}` says how the value is written too (`beta1` is `betas = [{}, 0.999]`).

    `there_are` says in a message what there is, in place of a list of `names`. An argument without its name, behind one
    that has one, is reported where its place is that of an option which is given, or one of those `required` before
    it is not.

    With a list of `misfits` the arguments that do fit are returned all the same, and it gets the options that the
    others were meant for, empty where that is not clear: `read_options` then reports what else is wrong.
    """
    given: Given = {}
    unfit: list[str] = []
    named = [arg.name.text for arg in stage.args or () if isinstance(arg, tree.Keyword)]
    for position, arg in enumerate(stage.args or ()):
        if isinstance(arg, tree.Keyword):
            name, value, place = arg.name.text, arg.value, arg.name.span
        elif position >= len(names):
            report.error(
                "too-many-arguments",
                f"`{stage.path}` takes {_count(len(names))}, and this is one more",
                arg.span,
                "no option is left for it",
                help=there_are or (all_of("option", names) if names else f"write `{stage.path}`"),
            )
            unfit.append("")
            continue
        else:
            name, value, place = names[position], arg, arg.span
            free = [n for n in names if n not in given and n not in named and n not in unfit]
            lacking = name in named or any(n in required for n in free if names.index(n) < position)
            if free and lacking and any(isinstance(before, tree.Keyword) for before in (stage.args or ())[:position]):
                _report_behind(arg, free[0], report)
                given[free[0]] = Written(value, place)
                unfit.append(free[0])
                continue
            if name in by_name and isinstance(arg, tree.Stage) and arg.args is None and arg.body is None:
                _report_by_position(str(stage.path), name, arg, report)
        overrides = place.source is not stage.path.span.source
        if name in given and not overrides:
            _report_repeated(name, stage, arg, given[name].place, report)
            if given[name].place == (stage.args or (arg,))[0].span:
                given[name] = Written(value, place)  # what stands first may be what is worked on
            unfit.append("")
        elif name in names or name in unplaced:
            given[name] = Written(value, place)
        else:
            assert isinstance(arg, tree.Keyword)
            legal = [*names, *sorted(unplaced)]
            unfit.append(_unknown_option(arg, stage, legal, given, spellings, there_are, report))
    if misfits is not None:
        misfits += unfit
        return given
    return None if unfit else given


def _report_behind(arg: tree.Node, name: str, report: Report) -> None:
    report.error(
        "option-by-position",
        "what stands without its name stands before all that have one",
        arg.span,
        "behind an option with a name",
        help=f"write `{name} = {arg.span.text}`, or put it before them",
        fixes=(Fix(arg.span, f"{name} = {arg.span.text}"),),
    )


def _report_repeated(name: str, stage: tree.Stage, arg: tree.Node, before: Span, report: Report) -> None:
    better = _by_the_arrow(stage) if before == (stage.args or (arg,))[0].span else None
    report.error(
        "repeated-option",
        f"`{name}` is given twice",
        arg.span,
        "given again here",
        labels=((before, "given here first"),),
        help="keep one of them" if better is None else f"what is worked on comes by the arrow: write `{better}`",
        fixes=() if better is None else (Fix(stage.span, better),),
    )


def _by_the_arrow(stage: tree.Stage) -> str | None:
    """`x -> sum(over = T)` for `sum(x, over = T)`: a value that stands where an option does."""
    first = stage.args[0] if stage.args else None
    if not isinstance(first, tree.Stage) or first.args is not None or not first.path.parts[0][:1].islower():
        return None
    rest = ", ".join(arg.span.text for arg in (stage.args or ())[1:])
    return f"{first.path} -> {stage.path}({rest})"


def _unknown_option(
    arg: tree.Keyword,
    stage: tree.Stage,
    legal: list[str],
    given: Given,
    spellings: Mapping[str, str],
    there_are: str,
    report: Report,
) -> str:
    """Reports an option that there is not; returns the one that was meant, or an empty text."""
    word, name, place = str(stage.path), arg.name.text, arg.name.span
    free = {n: None for n in legal if n not in given}
    if not legal:
        # What a loss or metric compares stands before its options, and stays.
        alone = stage.span.source.text[stage.path.span.end : (stage.args or (arg,))[0].span.start].strip() == "("
        fixes = (Fix(stage.span, word),) if alone and not stage.span.text.endswith("}") else ()
        help = f"write `{word}`" if alone else "leave it out"
        report.error("unknown-option", f"`{word}` takes no options", arg.span, "here", help=help, fixes=fixes)
        return ""
    written = _spelling(name, spellings)
    if "{}" in written:
        text, meant = written.format(arg.value.span.text), written.split(" ")[0]
        fixes = (Fix(arg.span, text),) if meant in free else ()
    else:
        meant = text = option_meant(name, free, spellings) or option_meant(name, legal, spellings)
        fixes = (Fix(place, meant),) if meant else ()
    help = f"write `{text}`" if meant else there_are or all_of("option", legal)
    message = f"`{word}` has no option `{name}`"
    report.error("unknown-option", message, place, "not an option here", help=help, fixes=fixes)
    return meant


def option_meant(name: str, legal: Iterable[str], spellings: Mapping[str, str] = OPTION_SPELLINGS) -> str:
    """The option that a name of no option was probably meant to be; an empty text where that is not clear."""
    written = _spelling(name, spellings)
    if "{}" in written:
        return written.split(" ")[0]
    return nearest(name if name in spellings else name.lower(), legal, spellings) or ""


def _spelling(name: str, spellings: Mapping[str, str]) -> str:
    return spellings.get(name if name in spellings else name.lower(), "")


def read_options(
    kind: type[Options],
    word: str,
    given: Given,
    defaults: Given,
    scope: Scope,
    report: Report,
    span: Span,
    *,
    ready: Mapping[str, Any] | None = None,
    misfits: Sequence[str] = (),
) -> Options | None:
    """The options of a call as an object; None where one is wrong or missing (reported).

    `defaults` come from `default` lines; `none` takes such an option away. `ready` are options that the caller has
    worked out itself, or FAULT for what it has reported. `misfits` are what `given_arguments` could not give, and
    what is not missing then.
    """
    values: dict[str, Any] = {name: value for name, value in (ready or {}).items() if value is not FAULT}
    written = {**defaults, **given}
    faulty = {name for name in ready or {} if name not in values}
    for name, option in written.items():
        if name in values or name in faulty:
            continue
        value = evaluate(option.flow, option.scope or scope, report, words_of(kind, name))
        if value is FAULT:
            faulty.add(name)
        elif value is None and ((name in given and name in defaults) or not _takes_none(kind, name)):
            continue
        else:
            values[name] = value
    try:
        options = kind(**values)
    except BadOptions as fault:
        from .env import blamed  # names of bodies stand on units, which stand on options
        from .examples import call_with, example_of  # only a mistake waits for it

        for problem in fault.problems:
            name = problem.option
            if problem.takes is None and name in (*faulty, *misfits):
                continue
            if problem.takes is None:
                report.error(
                    "missing-option",
                    f"`{word}` needs `{name}`",
                    span,
                    "not given here",
                    help=f"such as `{call_with(kind, word, span.text, name)}`",
                )
                continue
            example = "" if " such as " in problem.takes else example_of(kind, name)
            value, option = values.get(name), written.get(name)
            place, label, labels = span, f"this is {show_value(value)}", ()
            if option is not None:
                place, label, labels = blamed(value, option.flow, option.scope or scope)
                if place != option.flow.span:
                    example = example.rpartition(" = ")[2]  # a call of the block has its own names
            report.error(
                "wrong-value",
                f"`{name}` takes {problem.takes}",
                place,
                label,
                help=f"such as `{example}`" if example else "",
                labels=labels,
            )
        return None
    return None if faulty else options


def words_of(kind: type[OptionSet], name: str) -> frozenset[str]:
    """The bare words that an option takes."""
    field = kind.options.get(name)
    return field.kind.words if field is not None and field.kind is not None else frozenset()


def show_value(value: object) -> str:
    """A compile-time value for a message."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case Value():
            return "a value that flows"
        case tuple():
            return "a list"
    if hasattr(value, "value") and hasattr(value, "open"):
        text = written(value)  # type: ignore[arg-type]
        known = value.value  # type: ignore[attr-defined]
        if known is None:
            return f"{text}, which is open until run time"
        return text if spell(known) == text else f"{text}, which is {spell(known)}"
    return "a flow"


def _takes_none(kind: type[OptionSet], name: str) -> bool:
    field = kind.options.get(name)
    if field is None or field.kind is None:
        return True
    try:
        field.kind.check(None)
    except ValueError:
        return False
    return True


def _count(number: int) -> str:
    return "no options" if number == 0 else "one option" if number == 1 else f"{number} options"


def all_of(what: str, names: Sequence[str]) -> str:
    """What there is, for a message: "its options are `heads`, `causal`"."""
    listed = ", ".join(f"`{name}`" for name in names)
    return f"its {what}s are {listed}" if len(names) > 1 else f"its {what} is {listed}"
