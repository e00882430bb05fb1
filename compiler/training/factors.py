"""`rates = [head = 10, stem = 0.1]`: factors on the rate of parts of the model."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ...grammar import tree
from ..semantics.evaluate import FAULT, Scope, evaluate, is_number
from ..semantics.number import Number, real
from ..semantics.report import Report
from .modules import ModuleName

_EXAMPLE = "such as `[head = 10, blocks.0 = 0.1]`"


@dataclass(frozen=True)
class Factor:
    module: ModuleName
    factor: Number


def read_factors(flow: tree.Flow, scope: Scope, report: Report) -> tuple[Factor, ...]:
    """The factors of a list; what is wrong is reported and left out."""
    entries = flow.entries if isinstance(flow, tree.List) else ()
    if not entries:
        message = "`rates` takes a list of modules, each with what its rate is multiplied by"
        report.error("wrong-value", message, flow.span, "no such list", help=_EXAMPLE)
    found: dict[str, Factor] = {}
    for entry in entries:
        factor = _factor(entry, scope, report)
        if factor is None:
            continue
        before = found.setdefault(factor.module.text, factor)
        if before is not factor:
            message, labels = f"`rates` names `{factor.module.text}` twice", ((before.module.span, "given here first"),)
            report.error("repeated-name", message, factor.module.span, "given again here", labels=labels)
    return tuple(found.values())


def check_factors(factors: Iterable[Factor], weights: Collection[str], report: Report) -> None:
    """Each names something that has weights; `weights` are their keys."""
    for factor in factors:
        module = factor.module
        if not any(module.matches(key) for key in weights):
            message = f"`{module.text}` has no weights, and so no rate"
            report.error("wrong-value", message, module.span, "nothing in it learns", help="take it out of `rates`")


def _factor(entry: tree.Flow | tree.Entry, scope: Scope, report: Report) -> Factor | None:
    if not isinstance(entry, tree.Entry):
        message = "an entry of `rates` is `module = factor`"
        report.error("wrong-value", message, entry.span, "no factor here", help=_EXAMPLE)
        return None
    value = evaluate(entry.value, scope, report)
    if value is FAULT:
        return None
    if not is_number(value) or value.value is None or real(value) <= 0:
        frozen = is_number(value) and value.value == 0
        help = f"write `freeze = [{entry.path.span.text}]` for a module that does not learn" if frozen else _EXAMPLE
        message = "a rate is multiplied by a number above 0"
        report.error("wrong-value", message, entry.value.span, "not such a number", help=help)
        return None
    quoted = isinstance(entry.path, tree.String)
    text = entry.path.value if isinstance(entry.path, tree.String) else str(entry.path)
    return Factor(ModuleName(text, entry.path.span, quoted=quoted), value)
