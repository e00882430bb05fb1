"""Arguments of a call become the options of a layer: by position, by name, or from a `default` line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..ir.graph import Value
from ..options import BadOptions, OptionSet
from ..semantics.evaluate import FAULT, Scope, evaluate
from ..semantics.language import OPTION_SPELLINGS
from ..semantics.nearest import nearest
from ..semantics.number import spell, written
from ..semantics.report import Report

Options = TypeVar("Options", bound=OptionSet)


@dataclass(frozen=True)
class Written:
    """What was written for an option: the flow, the place of its name, and where its own names are looked up.

    `scope` is None for the scope of the call.
    """

    flow: tree.Flow
    place: Span
    scope: Scope | None = None


Given = dict[str, Written]


def gathered(variadic: str | None, stage: tree.Stage) -> tree.Stage:
    """The call with all that stands without a name as one list under the option `variadic`, where there is one."""
    if variadic is None:
        return stage
    nameless = tuple(arg for arg in stage.args or () if not isinstance(arg, tree.Keyword))
    if not nameless:
        return stage
    span = nameless[0].span.to(nameless[-1].span)
    gathered = tree.Keyword(tree.Name(variadic, span=span), tree.List(nameless, span=span), span=span)
    named = tuple(arg for arg in stage.args or () if isinstance(arg, tree.Keyword))
    return tree.Stage(stage.path, (gathered, *named), stage.body, span=stage.span)


def given_arguments(
    stage: tree.Stage, names: Sequence[str], report: Report, *, later: frozenset[str] = frozenset()
) -> Given | None:
    """The arguments of a call by option name; None where one of them fits no option (reported).

    What `--set` has put into a call takes the place of what the file gives there, also by position.

    `names` are the options in the order in which they may stand without their name; `later` are those that only a
    later version takes.
    """
    given: Given = {}
    fits = True
    for position, arg in enumerate(stage.args or ()):
        if isinstance(arg, tree.Keyword):
            name, value, place = arg.name.text, arg.value, arg.name.span
        elif position >= len(names):
            report.error(
                "too-many-arguments",
                f"`{stage.path}` takes {_count(len(names))}, and this is one more",
                arg.span,
                "no option is left for it",
                help=f"its options are {_listed(names)}" if names else f"write `{stage.path}`",
            )
            fits = False
            continue
        else:
            name, value, place = names[position], arg, arg.span
        overrides = place.source is not stage.path.span.source
        if name in given and not overrides:
            report.error(
                "repeated-option",
                f"`{name}` is given twice",
                arg.span,
                "given again here",
                labels=((given[name].place, "given here first"),),
                help="keep one of them",
            )
            fits = False
        elif name in names or name in later:
            given[name] = Written(value, place)
        else:
            _unknown_option(str(stage.path), name, place, arg, stage, [*names, *later], given, report)
            fits = False
    return given if fits else None


def _unknown_option(
    word: str,
    name: str,
    place: Span,
    arg: tree.Node,
    stage: tree.Stage,
    legal: list[str],
    given: Given,
    report: Report,
) -> None:
    free = [n for n in legal if n not in given]
    if not legal:
        fixes = (Fix(stage.span, word),)
        report.error(
            "unknown-option", f"`{word}` takes no options", arg.span, "here", help=f"write `{word}`", fixes=fixes
        )
        return
    meant = nearest(name, free, OPTION_SPELLINGS) or nearest(name, legal, OPTION_SPELLINGS)
    help = f"write `{meant}`" if meant else f"its options are {_listed(legal)}"
    fixes = (Fix(place, meant),) if meant else ()
    message = f"`{word}` has no option `{name}`"
    report.error("unknown-option", message, place, "not an option here", help=help, fixes=fixes)


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
) -> Options | None:
    """The options of a call as an object; None where one is wrong or missing (reported).

    `defaults` come from `default` lines; `none` takes such an option away. `ready` are options that the caller has
    worked out itself.
    """
    values: dict[str, Any] = dict(ready or {})
    places: dict[str, Span] = {}
    fits = True
    for name, option in {**defaults, **given}.items():
        if name in values:
            continue
        value = evaluate(option.flow, option.scope or scope, report, words_of(kind, name))
        if value is FAULT:
            fits = False
        elif value is None and ((name in given and name in defaults) or not _takes_none(kind, name)):
            continue
        else:
            values[name] = value
            places[name] = option.flow.span
    if not fits:
        return None
    try:
        return kind(**values)
    except BadOptions as fault:
        for problem in fault.problems:
            name = problem.option
            if problem.takes is None:
                report.error(
                    "missing-option",
                    f"`{word}` needs `{name}`",
                    span,
                    "not given here",
                    help=f"write `{_call_with(word, name, kind)}`",
                )
                continue
            report.error(
                "wrong-value",
                f"`{name}` takes {problem.takes}",
                places.get(name, span),
                f"this is {show_value(values.get(name))}",
                help=f"`{word}({name} = ...)` with {problem.takes}",
            )
        return None


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
        return text if known is None or spell(known) == text else f"{text}, which is {spell(known)}"
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


def _call_with(word: str, missing: str, kind: type[OptionSet]) -> str:
    required = [name for name, field in kind.options.items() if field.required]
    return f"{word}({', '.join(required)})" if missing in required else f"{word}({missing} = ...)"


def _count(number: int) -> str:
    return "no options" if number == 0 else "one option" if number == 1 else f"{number} options"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
