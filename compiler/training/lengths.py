"""Lengths of training: `2_000` updates, `5%` of the run, `3 * epoch`."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from fractions import Fraction
from typing import Any, Literal

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ..semantics.arithmetic import spell
from ..semantics.evaluate import FAULT, Scope, evaluate, is_number
from ..semantics.number import Literal as Written
from ..semantics.number import Number, Operation, Reference, is_whole, number, polynomial, whole, written
from ..semantics.report import Report

Unit = Literal["steps", "epochs", "part"]

TAKES = "a length: steps (`500`), a part of the run (`5%`) or passes over the data (`3 * epoch`)"
_LENGTH = re.compile(r"[1-9][0-9_]*|[0-9]+(?:\.[0-9]+)?%|[0-9]+ \* epoch")
_EPOCH = Reference("epoch", "open", "train")


class Length(Frozen):
    """`count` updates, passes over the data, or parts of the run (0.05 where 5% is written)."""

    unit: Unit
    count: Number

    @property
    def exact(self) -> Fraction:
        assert self.count.value is not None
        return Fraction(self.count.value)

    def __str__(self) -> str:
        """As it is written in a spec."""
        return f"{written(self.count)} * epoch" if self.unit == "epochs" else written(self.count)

    def as_json(self) -> dict[str, Any]:
        """The form that settings hold: whole numbers of steps, whole epochs where they are whole."""
        return {self.unit: whole(self.count) if is_whole(self.count) and self.unit != "part" else float(self.exact)}


class _WithEpoch(Frozen):
    """The file's names, and `epoch` where the file has none of its own."""

    scope: Scope

    def find(self, name: str) -> object | None:
        found = self.scope.find(name)
        return _EPOCH if found is None and name == "epoch" else found

    def names(self) -> Iterable[str]:
        return [*self.scope.names(), "epoch"]

    def flows(self) -> Container[str]:
        return self.scope.flows()


def read_length(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    """The `Length` that `name` is given, or FAULT (reported)."""
    value = evaluate(flow, _WithEpoch(scope), report)
    if value is FAULT:
        return FAULT
    if not is_number(value):
        if isinstance(flow, tree.String) and _LENGTH.fullmatch(flow.value):
            fixes = (Fix(flow.span, flow.value),)
            help = f"write `{flow.value}`, without quotes"
            return _refuse(flow, name, "a length in quotes", report, help, fixes)
        return _refuse(flow, name, "not a length", report)
    if _is_part(value):
        if value.value is None or not 0 < value.value <= 1:
            return _refuse(flow, name, "a part of the run lies above 0% and goes up to 100%", report)
        return Length("part", value)
    if value.value is not None:
        if not is_whole(value):
            percent = f"{spell(Fraction(value.value) * 100)}%"
            fixes = (Fix(flow.span, percent),) if 0 < value.value < 1 and isinstance(value, Written) else ()
            label = "a number of steps is whole"
            return _refuse(
                flow, name, label, report, f"write `{percent}` for a part of the run" if fixes else "", fixes
            )
        if value.value < 1:
            return _refuse(flow, name, "at least one step", report)
        return Length("steps", value)
    terms = polynomial(value)
    (atoms,) = terms if len(terms) == 1 else ((),)
    if len(atoms) != 1 or atoms[0].name != "epoch":
        return _refuse(flow, name, "steps and passes do not mix", report)
    if terms[atoms] <= 0:
        return _refuse(flow, name, "a length lies above 0", report)
    return Length("epochs", _factor(value, terms[atoms]))


def read_lengths(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    """A tuple of the `Length`s of a list, or FAULT (reported)."""
    if not isinstance(flow, tree.List):
        help = "such as `[30 * epoch, 60 * epoch]`"
        report.error("wrong-value", f"`{name}` takes a list of lengths", flow.span, "no list", help=help)
        return FAULT
    if not flow.entries:
        report.error("wrong-value", f"`{name}` takes a list of lengths", flow.span, "an empty list")
        return FAULT
    lengths: list[Any] = []
    for entry in flow.entries:
        if isinstance(entry, tree.Entry):
            lengths.append(_refuse(entry.value, name, "not a length", report))
        else:
            lengths.append(read_length(entry, name, scope, report))
    return FAULT if FAULT in lengths else tuple(lengths)


def _refuse(flow: tree.Flow, name: str, label: str, report: Report, help: str = "", fixes: tuple[Fix, ...] = ()) -> Any:
    report.error("wrong-value", f"`{name}` takes {TAKES}", flow.span, label, help=help, fixes=fixes)
    return FAULT


def _is_part(value: Number) -> bool:
    """Whether a number was written as a percentage: `5%`, `warm` that is 5%, `2 * 5%`."""
    match value:
        case Written(text=text):
            return text.endswith("%")
        case Reference(target=target):
            return target is not None and _is_part(target)
        case Operation("neg", (a,)):
            return _is_part(a)
        case Operation("*", (a, b)):
            return _is_part(a) or _is_part(b)
        case Operation("/", (a, b)):
            return _is_part(a) and not _is_part(b)
        case Operation("+" | "-" | "min" | "max", operands):
            return all(map(_is_part, operands))
    return False


def _factor(value: Number, exact: Fraction) -> Number:
    """`3` of `3 * epoch`, as it was written where it stands there."""
    match value:
        case Operation("*", (count, Reference(name="epoch"))) | Operation("*", (Reference(name="epoch"), count)):
            return count
    return number(exact)
