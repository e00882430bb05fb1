"""What inputs say of how large a dim may be: `T <= context`, `T > 1`, `2 <= T <= 1024`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..semantics.arithmetic import COMPARISONS, spell
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.number import Number, is_whole, number, operation, references, whole
from ..semantics.report import Report, Unheard
from .env import Env

Side = Literal["least", "most"]

_SIDES: dict[str, Side] = {"<=": "most", "<": "most", ">=": "least", ">": "least"}
_TURNED = {"<=": ">=", "<": ">", ">=": "<=", ">": "<", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class Comparison:
    """`dim operator flow`, the dim on the left: `2 <= T <= 10` is `T >= 2` and `T <= 10`. `whole` is all of it."""

    dim: tree.Flow
    operator: str
    flow: tree.Flow
    whole: tree.Flow

    @property
    def side(self) -> Side | None:
        return _SIDES.get(self.operator)


@dataclass(frozen=True)
class Bound:
    """A number that a dim does not go beyond, and where it is said."""

    value: Number
    span: Span


@dataclass(frozen=True)
class Bounds:
    """The largest of all least values that the inputs give a dim, and the smallest of all largest ones."""

    least: Bound | None = None
    most: Bound | None = None


def comparisons(dim: tree.Flow) -> tuple[Comparison, ...]:
    """The comparisons that a dim is written with, none to two."""
    match dim:
        case tree.Between(left=left, first=first, middle=middle, second=second, right=right):
            return Comparison(middle, _TURNED[first], left, dim), Comparison(middle, second, right, dim)
        case tree.Binary(operator=operator, left=left, right=right) if operator in COMPARISONS:
            if not any(capitals(left)) and any(capitals(right)):
                return (Comparison(right, _TURNED[operator], left, dim),)
            return (Comparison(left, operator, right, dim),)
    return ()


def capital(flow: tree.Node) -> str | None:
    """The Capital name that a flow is: `T`."""
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if name[0].isupper():
            return name
    return None


def capitals(flow: tree.Node) -> Iterator[tuple[str, tree.Node]]:
    """The Capital names in a dim, from left to right, and where they stand."""
    name = capital(flow)
    if name is not None:
        yield name, flow
        return
    match flow:
        case tree.Binary(left=left, right=right):
            parts = (left, right)
        case tree.Between(left=left, middle=middle, right=right):
            parts = (left, middle, right)
        case tree.Negate(operand=operand) | tree.Keyword(value=operand):
            parts = (operand,)
        case tree.Stage(args=args) if args:
            parts = args
        case _:
            parts = ()
    for part in parts:
        yield from capitals(part)


def bound_of(comparison: Comparison, env: Env, report: Report) -> Number | None:
    """The number that the dim does not go beyond, `T < 10` being `T <= 9`; None where there is none (reported)."""
    if any(env.lookup(name) is None for name, _ in capitals(comparison.flow)):
        _report_no_number(comparison, report)  # a dim that another input names
        return None
    said = evaluate(comparison.flow, env, report)
    if said is FAULT or not _is_bound(comparison, said, report):
        return None
    if comparison.operator in ("<=", ">="):
        return said
    next_to = operation("-" if comparison.operator == "<" else "+", said, number(1))
    return next_to if any(references(said)) else number(whole(next_to))


def _report_no_number(comparison: Comparison, report: Report) -> None:
    name = comparison.dim.span.text
    message, label = "a bound compares a dim with a number", "not of the form `T <= number`"
    report.error("bad-limit", message, comparison.whole.span, label, help=f"write `{name} <= 1024`, or `{name} >= 2`")


def _is_bound(comparison: Comparison, said: object, report: Report) -> bool:
    place, name = comparison.whole.span, comparison.dim.span.text
    if comparison.operator == "!=":
        message = f"a dim takes all sizes between two bounds, and `{place.text}` leaves one out"
        help = f"write a least value, `{name} >= 2`, or a largest one, `{name} <= 1024`"
        report.error("bad-limit", message, place, "no bound", help=help)
    elif not is_number(said) or said.value is None:
        _report_no_number(comparison, report)
    elif comparison.operator == "==":
        known = comparison.flow.span.text
        message = f"a dim of one size is written as the number, and this compares `{name}` with it"
        help = f"write `{known}`, here and wherever `{name}` stands"
        report.error("bad-limit", message, place, f"`{name}` has one size", help=help, fixes=(Fix(place, known),))
    elif not is_whole(said):
        near = (floor if comparison.operator in ("<=", ">") else ceil)(said.value)
        label, place = f"this is {spell(said.value)}", comparison.flow.span
        fixes = (Fix(place, str(near)),)
        report.error("bad-limit", "a dim is a whole number", place, label, help=f"write `{near}`", fixes=fixes)
    elif isinstance(comparison.whole, tree.Between) and len({c.side for c in comparisons(comparison.whole)}) == 1:
        message = f"`{place.text}` bounds `{name}` twice on one side"
        help = f"between two bounds it is written `2 <= {name} <= 1024`"
        report.error("bad-limit", message, place, "no range", help=help)
    else:
        return True
    return False


# --- a model's open dims ---------------------------------------------------------------------------------------


def open_bounds(ports: tuple[tree.Port, ...], env: Env, report: Report) -> dict[str, Bounds]:
    """The bounds of each open dim, of all that the inputs say. Bounds that leave a dim no size are reported."""
    found: dict[str, Bounds] = {}
    for comparison in (c for port in ports for dim in port.shape.dims for c in comparisons(dim)):
        name, factor = _bounded(comparison.dim, env)
        value = bound_of(comparison, env, Unheard())
        if name is None or value is None:
            continue
        known = found.get(name, Bounds())
        if comparison.side == "most":
            bound = Bound(value if factor == 1 else operation("//", value, number(factor)), comparison.whole.span)
            found[name] = Bounds(known.least, min((known.most or bound, bound), key=_size))
        else:
            bound = Bound(value if factor == 1 else number(-(-whole(value) // factor)), comparison.whole.span)
            found[name] = Bounds(max((known.least or bound, bound), key=_size), known.most)
    return {name: bounds for name, bounds in found.items() if _has_room(name, bounds, report)}


def _bounded(dim: tree.Flow, env: Env) -> tuple[str | None, int]:
    """What is bounded in a model's dim, `T` or `16 * H`: the name, and how many times it is taken."""
    match dim:
        case tree.Binary(operator="*", left=left, right=right):
            name, other = (capital(left), right) if capital(left) else (capital(right), left)
            factor = evaluate(other, env, Unheard())
            return (name, whole(factor)) if is_number(factor) and is_whole(factor) and factor.value else (None, 1)
    return capital(dim), 1


def _size(bound: Bound) -> int:
    return whole(bound.value)


def _has_room(name: str, bounds: Bounds, report: Report) -> bool:
    """Whether a size lies between the bounds."""
    least, most = bounds.least, bounds.most
    if most is None or _size(most) >= (1 if least is None else max(1, _size(least))):
        return True
    if least is None or _size(least) < 1:
        message = f"no size is left for `{name}`: a dim is 1 at least"
        help = "write a limit of 1 or more"
        report.error("bad-limit", message, most.span, f"{_size(most)} at most", help=help)
        return False
    says = {most: f"{_size(most)} at most", least: f"{_size(least)} at least"}
    message, help = (
        f"no size is left for `{name}` between its bounds",
        "take a smaller least value, or a larger limit",
    )
    if least.span == most.span:
        report.error("bad-limit", message, most.span, f"{says[least]}, and {says[most]}", help=help)
    else:
        first, second = sorted((least, most), key=lambda bound: bound.span.start)
        report.error("bad-limit", message, second.span, says[second], labels=((first.span, says[first]),), help=help)
    return False


def check_open(dim: tree.Flow, env: Env, report: Report) -> bool:
    """Whether the comparisons of a model's dim are bounds of an open dim (else reported)."""
    for comparison in comparisons(dim):
        if bound_of(comparison, env, report) is None:
            return False
        if _bounded(comparison.dim, env)[0] is None:
            message = "a bound in a model's input is that of a dim that stays open until run time"
            help, fixes = "write `T <= 1024`, `T >= 2` or `16 * H <= 512`, with a Capital name", ()
            word = comparison.dim.span.text
            if word.isidentifier() and env.lookup(word) is None:
                name = word[0].upper() + word[1:]
                help, fixes = f"write `{name}`: what is open has a Capital name", (Fix(comparison.dim.span, name),)
            report.error("bad-limit", message, dim.span, "not of the form `T <= number`", help=help, fixes=fixes)
            return False
    return True
