"""Values that are known when the model is built: numbers, words, flags, lists and recipes."""

from __future__ import annotations

from collections.abc import Container, Iterable
from fractions import Fraction
from typing import Any, Protocol, TypeGuard

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from .arithmetic import COMPARISONS, MATHS, NumberError, arguments_of, exact_value
from .language import is_library, layers
from .nearest import nearest
from .number import Literal, Number, Operation, Reference, operation
from .report import Report


class Fault:
    """The value of what was already reported; it makes no second report."""

    def __repr__(self) -> str:
        return "FAULT"


FAULT = Fault()


class Recipe(Frozen, eq=False):
    """A flow handed over: each use of it makes modules of its own. `scope` is where it was written."""

    flow: tree.Flow
    scope: Any


class Scope(Protocol):
    """Where names are looked up while numbers are worked out."""

    def find(self, name: str) -> object | None:
        """What the name stands for, or None where nothing has it. (`none` is the `NONE` below.)"""
        ...

    def names(self) -> Iterable[str]: ...

    def flows(self) -> Container[str]:
        """The names of the file's blocks, models and functions."""
        ...


class _None:
    def __repr__(self) -> str:
        return "none"


NONE = _None()
"""What a name stands for that was given `none`, so that it differs from a name that is not there."""


def is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, Literal | Reference | Operation)


def evaluate(flow: tree.Flow, scope: Scope, report: Report, words: frozenset[str] = frozenset()) -> Any:
    """A compile-time value: `Number`, bool, str, None, tuple, `Recipe`, whatever a name stands for, or FAULT.

    `words` are the bare words that the place takes; they come before names.
    """
    match flow:
        case tree.Number(text=text, value=value):
            return Literal(text, exact_value(value) if isinstance(value, int) else _decimal(text))
        case tree.Percent(text=text):
            return Literal(text, Fraction(text.rstrip("%").replace("_", "")) / 100)
        case tree.String(value=value) | tree.Bool(value=value):
            return value
        case tree.Nothing():
            return None
        case tree.List(entries=entries):
            items = [evaluate(e, scope, report, words) for e in entries if not isinstance(e, tree.Entry)]
            return FAULT if FAULT in items else tuple(items)
        case tree.Negate(operand=operand):
            return _worked_out("neg", [operand], flow, scope, report)
        case tree.Binary(operator=operator, left=left, right=right):
            return _worked_out(operator, [left, right], flow, scope, report)
        case tree.Choice(then=then, condition=condition, otherwise=otherwise):
            chosen = evaluate(condition, scope, report)
            if chosen is FAULT:
                return FAULT
            if not isinstance(chosen, bool):
                report.error(
                    "not-a-condition",
                    "a condition of `if` is true or false when the model is built, and this is neither",
                    condition.span,
                    "no condition",
                    help="compare numbers, such as `i % 2 == 0`",
                )
                return FAULT
            return evaluate(then if chosen else otherwise, scope, report, words)
        case tree.Stage(path=path, args=None, body=None) if len(path.parts) == 1:
            return _name(path, flow, scope, report, words)
        case tree.Stage(path=path, args=args, body=None) if path.parts[0] in MATHS and len(path.parts) == 1:
            return _worked_out(path.parts[0], list(args or ()), flow, scope, report)
        case tree.Stage(path=tree.Path(parts=(first, *_, field)) as path, args=None, body=None) if _is_field(
            scope.find(first), scope.find(field)
        ):
            _no_fields(path, scope, report)
            return FAULT
        case _:
            return Recipe(flow, scope)


def _is_field(first: object, field: object) -> bool:
    """Whether `first.field` is a constant taken for an object, or has a field that is a constant by itself."""
    return is_number(first) or isinstance(first, str | bool | tuple) or (first is None and is_number(field))


def _no_fields(path: tree.Path, scope: Scope, report: Report) -> None:
    *_, field = path.parts
    known = scope.find(field) is not None
    help = f"write `{field}`" if known else f"give it a name of its own: `{field} = ...` above the blocks and models"
    fixes = (Fix(path.span, field),) if known else ()
    message = f"there is no `{path}`: a constant has no fields"
    report.error("unknown-name", message, path.span, "not known here", help=help, fixes=fixes)


def _decimal(text: str) -> Fraction:
    return Fraction(text.replace("_", ""))


def _name(path: tree.Path, flow: tree.Flow, scope: Scope, report: Report, words: frozenset[str]) -> Any:
    name = path.parts[0]
    if name in words:
        return name
    found = scope.find(name)
    if found is NONE:
        return None
    if found is not None:
        return found
    if name in scope.flows() or is_library(name):
        return Recipe(flow, scope)
    what, code = ("layer or block", "unknown-layer") if name[0].isupper() else ("name", "unknown-name")
    legal = [*scope.names(), *words, "true", "false", "none", *(layers() if name[0].isupper() else ())]
    if words and nearest(name, legal) not in {*scope.names()}:
        legal = [*words, "none"]
    report.unknown(what, name, path.span, legal, code=code, own=scope.names())
    return FAULT


def _is_plain(value: object) -> bool:
    """Whether a value can be held against one of another kind: a window that may be a number or `none`."""
    return isinstance(value, str | bool) or value is None or is_number(value)


def _never_equal(a: object, b: object) -> bool:
    """Whether one side is a text and the other a number that could be nothing else: a parameter may hold either."""
    number = next((side for side in (a, b) if is_number(side)), None)
    may_be_text = isinstance(number, Reference) and number.kind in ("parameter", "constant")
    return number is not None and not may_be_text and any(isinstance(side, str) for side in (a, b))


def _worked_out(
    operator: str, sides: list[Any], flow: tree.Flow, scope: Scope, report: Report
) -> Number | bool | Fault | Recipe:
    values = [evaluate(side.value if isinstance(side, tree.Keyword) else side, scope, report) for side in sides]
    if any(value is FAULT for value in values):
        return FAULT
    if not all(is_number(value) for value in values):
        if operator in ("==", "!=") and all(_is_plain(value) for value in values):
            if _never_equal(*values):
                text = next(value for value in values if isinstance(value, str))
                message, label = f'a number is never equal to the text "{text}"', "a number and a text"
                report.error("wrong-value", message, flow.span, label, help="compare it with a number")
                return FAULT
            return (values[0] == values[1]) == (operator == "==")
        return Recipe(flow, scope)
    try:
        result = operation(operator, *values)
        return bool(result.value) if operator in COMPARISONS and result.value is not None else result
    except NumberError as error:
        help = ""
        if operator in ("/", "//", "%"):
            divisor = sides[1].span.text
            help = "divide by another number" if divisor == "0" else f"`{divisor}` is 0: give it another number"
        report.error("no-value", f"this cannot be worked out: {error}", flow.span, str(error), help=help)
        return FAULT
    except TypeError:
        wanted, example = arguments_of(operator)
        message, label = f"`{operator}` takes {wanted}", f"{len(values)} here"
        report.error("wrong-arguments", message, flow.span, label, help=f"such as `{example}`")
        return FAULT
