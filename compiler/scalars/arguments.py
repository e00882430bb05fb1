"""Which argument of a call is for which parameter of a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..semantics.nearest import nearest
from ..semantics.report import Report
from .expression import Parameter, ScalarFunction

SCORE = ("s", "q", "k", "h")
"""What an attention score gets: the score itself, the positions of query and key, and the head."""


def _is_written_number(flow: tree.Flow) -> bool:
    return isinstance(flow, tree.Number | tree.Percent)


def match_arguments(
    stage: tree.Stage,
    parameters: Sequence[Parameter],
    report: Report,
    *,
    supplied: Sequence[str] = (),
    is_number: Callable[[tree.Flow], bool] = _is_written_number,
) -> dict[str, tree.Flow] | None:
    """What a call `f(a, limit = 30)` gives for each parameter; None where it does not fit (reported).

    A parameter that has a default may be missing. `supplied` are the first parameters, which the place gives by itself:
    the running value where the function is a stage, and s, q, k, h where it is a score. `is_number` tells numbers from
    what flows.
    """
    word, names = str(stage.path), [p.name for p in parameters]
    open_names = names[len(supplied) :]
    given: dict[str, tree.Flow] = {}
    fits = True
    for position, arg in enumerate(stage.args or ()):
        if isinstance(arg, tree.Keyword):
            name, place, value = arg.name.text, arg.name.span, arg.value
        elif position < len(open_names):
            name, place, value = open_names[position], arg.span, arg
        else:
            message = f"`{word}` takes {_listed(open_names) or 'nothing'}, and this is one more"
            label, fixes = "no parameter is left for it", _without(stage, position)
            report.error("too-many-arguments", message, arg.span, label, help="take it out", fixes=fixes)
            fits = False
            continue
        if name in given:
            message, labels = f"`{name}` is given twice", ((given[name].span, "given here first"),)
            report.error(
                "repeated-option",
                message,
                arg.span,
                "given again here",
                labels=labels,
                help="keep one",
                fixes=_without(stage, position),
            )
            fits = False
        elif name in supplied:
            message = f"`{name}` of `{word}` is given by the place where it stands"
            label, fixes = "given again here", _without(stage, position)
            report.error("repeated-option", message, arg.span, label, help="take it out", fixes=fixes)
            fits = False
        elif name in open_names:
            given[name] = value
        else:
            meant = nearest(name, [n for n in open_names if n not in given])
            help = f"write `{meant}`" if meant else f"its parameters are {_listed(open_names)}" if open_names else ""
            fixes = (Fix(place, meant),) if meant else ()
            message = f"`{word}` has no parameter `{name}`"
            report.error("unknown-option", message, place, "not a parameter", help=help, fixes=fixes)
            fits = False
    missing = [p.name for p in parameters if p.name not in given and p.name not in supplied and p.default is None]
    if missing and fits:
        numbers = {} if supplied else {name: flow for name, flow in given.items() if is_number(flow)}
        _report_missing(stage, missing, open_names, numbers if len(numbers) == len(given) else {}, report)
    return given if fits and not missing else None


def _without(stage: tree.Stage, position: int) -> tuple[Fix, ...]:
    """The edit that takes an argument out of a call, with the comma beside it."""
    args = stage.args or ()
    span = args[position].span
    if position:
        span = Span(span.source, args[position - 1].span.end, span.end)
    elif len(args) > 1:
        span = Span(span.source, span.start, args[1].span.start)
    return (Fix(span, ""),)


def _report_missing(
    stage: tree.Stage, missing: Sequence[str], names: Sequence[str], numbers: Mapping[str, tree.Flow], report: Report
) -> None:
    """`numbers` are what is given for the first of `names`, where that is numbers alone."""
    word, args = str(stage.path), stage.args or ()
    named = {arg.name.text: arg.span.text for arg in args if isinstance(arg, tree.Keyword)}
    named |= {name: f"{name} = ..." for name in missing}
    better = [arg.span.text for arg in args if not isinstance(arg, tree.Keyword)]
    better += [named[name] for name in names if name in named]
    call, fixes = f"{word}({', '.join(better)})", ()
    if names[0] in numbers and len(missing) == 1 and len(numbers) == len(names) - 1:
        # Numbers alone are for the parameters behind the first, which is the value that flows.
        texts = [flow.span.text for flow in numbers.values()]
        by_name = ", ".join(f"{name} = {text}" for name, text in zip(names[1:], texts, strict=True))
        call, fixes = f"{word}({by_name})", (Fix(stage.span, f"{word}({by_name})"),)
    message, help = f"`{word}` needs {_listed(missing)}", f"write `{call}`"
    report.error("missing-option", message, stage.span, "not given here", help=help, fixes=fixes)


def check_score(function: ScalarFunction, written: tree.Function, use: tree.Node, report: Report) -> bool:
    """Whether a function can be an attention score, `f(s, q, k, h, ...)`; if not, it is reported where it is used.

    `written` is its text, for the fix.
    """
    names = [p.name for p in function.parameters]
    if tuple(names[:4]) == SCORE:
        return True
    further = [p.span.text for p in written.params if p.name.text not in SCORE]
    better, fixes = ", ".join([*SCORE, "..."]), ()
    if names[0] == "s":
        better = ", ".join([*SCORE, *further])
        fixes = (Fix(written.params[0].span.to(written.params[-1].span), better),)
    report.error(
        "wrong-arguments",
        f"a score is computed from s, q, k, h: the score, the positions of query and key, and the head; "
        f"`{function.name}` takes {', '.join(names)}",
        use.span,
        "cannot be a score",
        labels=((written.name.span, "written here"),),
        help=f"write `{function.name}({better}) = ...`",
        fixes=fixes,
    )
    return False


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
