"""Values held against the options that take them where no call is built: in a `default`, in a block nobody uses."""

from __future__ import annotations

from ...grammar import tree
from ..layers.options import AXES
from ..options import OptionSet
from ..semantics.evaluate import Scope, evaluate, is_number
from ..semantics.report import Report, Unheard
from .arguments import show_value, words_of
from .env import origins


def names_nothing(flow: tree.Node) -> bool:
    """Whether a value is the same wherever it stands: nothing around it, such as an `if`, can make it right."""
    return not any(isinstance(node, tree.Stage | tree.Path | tree.Unread) for node in tree.walk(flow))


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | str) or is_number(value)


def check_value(kind: type[OptionSet], name: str, flow: tree.Flow, scope: Scope, report: Report) -> None:
    """Report a number, text, flag or list of them that an option does not take. Flows, and axes by the names of their
    dims, are read together with a call."""
    field = kind.options.get(name)
    if field is None or field.kind is None:
        return
    if field.kind.reads and not (field.kind.reads == AXES and names_nothing(flow)):
        return
    value = evaluate(flow, scope, Unheard(), words_of(kind, name))
    if not (all(map(_is_plain, value)) if isinstance(value, tuple) else _is_plain(value)):
        return
    try:
        field.kind.check(value)
    except ValueError as fault:
        from .examples import example_of  # only a mistake waits for it

        example = "" if " such as " in str(fault) else example_of(kind, name)
        report.error(
            "wrong-value",
            f"`{name}` takes {fault}",
            flow.span,
            f"this is {show_value(value)}",
            help=f"such as `{example}`" if example else "",
            labels=origins(flow, scope),
        )
