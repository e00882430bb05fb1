"""Features fixed: each function with the constants that all its callers agree on, and no `if` that they decide.

    if SOFTCAP:                         s = cap * tanh(s / cap)
        s = cap * tanh(s / cap)    ->
    else:
        ...

A constant is followed through calls, whatever it is called there; where callers differ the parameter stays. Numbers
keep their names, and are constants of the module then.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import libcst as cst

from .specialise_calls import all_uses, without_parameters
from .specialise_tree import (
    Statement,
    in_place_of,
    is_name,
    names_set,
    only_line,
    rebuilt,
    statements,
    with_suite,
)

Value: TypeAlias = bool | int | float | str
_Node = TypeVar("_Node", bound=cst.CSTNode)
_Block = TypeVar("_Block", cst.If, cst.Else, cst.For, cst.While)

_COMPARE = {
    cst.Equal: operator.eq,
    cst.NotEqual: operator.ne,
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
}
_COMPUTE = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
    cst.FloorDivide: operator.floordiv,
    cst.Modulo: operator.mod,
}
_CHOOSE = {"maximum": max, "minimum": min}


@dataclass(frozen=True)
class Known:
    """A value, and how it is written."""

    value: Value
    text: str

    def node(self) -> cst.BaseExpression:
        return cst.Name(self.text) if self.text.isidentifier() else cst.parse_expression(self.text)


def fold(
    functions: Mapping[str, cst.FunctionDef], roots: Sequence[str], constants: Mapping[str, Value]
) -> dict[str, cst.FunctionDef]:
    """The functions that the roots reach; `constants` are parameters of roots. Callees come first, before and after."""
    arriving: dict[str, dict[str, Known | None]] = {}
    for root in roots:
        arriving[root] = {
            name: _written(name, constants) if name in constants else None for name in constexprs(functions[root])
        }
    folded: dict[str, cst.FunctionDef] = {}
    for name in reversed(list(functions)):
        if name not in arriving:
            continue
        function = functions[name]
        fixed = {parameter: known for parameter, known in arriving[name].items() if known is not None}
        if overwritten := set(fixed) & {x for s in statements(function) for x in names_set(s)}:
            raise ValueError(f"{name} sets {min(overwritten)}, which is a constant")
        known = numbers_in(function, constants) | fixed
        folded[name] = folded_with(function, known)
        for callee, arguments in all_uses(folded[name], functions):
            _meet(arriving, functions[callee], arguments, known)
    gone = {name: {p for p, known in known_of.items() if known is not None} for name, known_of in arriving.items()}
    return without_parameters({name: folded[name] for name in functions if name in folded}, gone)


def folded_with(function: cst.FunctionDef, known: Mapping[str, Known]) -> cst.FunctionDef:
    """The function with what is known put in, and computed as far as it goes."""
    return with_suite(function, _Fold(known, set(constexprs(function))).suite(statements(function)))


def numbers_in(function: cst.FunctionDef, constants: Mapping[str, Value]) -> dict[str, Known]:
    """The constants of the module that a function can read: not those for which it has a parameter of that name."""
    own = {p.name.value for p in function.params.params}
    numbers = [name for name, value in constants.items() if not isinstance(value, bool) and value not in constants]
    return {name: _written(name, constants) for name in numbers if name not in own}


def constexprs(function: cst.FunctionDef) -> list[str]:
    return [p.name.value for p in function.params.params if p.annotation is not None]


def _written(name: str, constants: Mapping[str, Value]) -> Known:
    value = constants[name]
    if isinstance(value, str) and value in constants:
        return _written(value, constants)
    return Known(value, str(value) if isinstance(value, bool) else name)


def _meet(
    arriving: dict[str, dict[str, Known | None]],
    callee: cst.FunctionDef,
    arguments: Sequence[cst.Arg] | None,
    known: Mapping[str, Known],
) -> None:
    """What is known of the callee's parameters after one more call."""
    name, names = callee.name.value, constexprs(callee)
    if arguments is None:
        arriving[name] = dict.fromkeys(names)
        return
    parameters = (p.name.value for p in callee.params.params)
    passed = {p: known_value(a.value, known) for p, a in zip(parameters, arguments, strict=True) if p in names}
    before = arriving.get(name)
    arriving[name] = passed if before is None else {p: _agreed(before[p], passed[p]) for p in names}


def _agreed(a: Known | None, b: Known | None) -> Known | None:
    if a is None or b is None or type(a.value) is not type(b.value) or a.value != b.value:
        return None
    return a if a.text == b.text else _plain(a.value)


def known_value(expression: cst.BaseExpression, names: Mapping[str, Known]) -> Known | None:
    """What the expression is, where constants alone decide."""
    match expression:
        case cst.Name(value="True" | "False" as word):
            return Known(word == "True", word)
        case cst.Name(value=name):
            return names.get(name)
        case cst.Integer() | cst.Float():
            return Known(expression.evaluated_value, expression.value)
        case cst.SimpleString():
            return Known(str(expression.evaluated_value), expression.value)
        case cst.UnaryOperation(operator=cst.Minus(), expression=inner):
            known = known_value(inner, names)
            return None if known is None or isinstance(known.value, str) else Known(-known.value, f"-{known.text}")
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            known = known_value(inner, names)
            return None if known is None else _plain(not known.value)
        case cst.BinaryOperation(left=left, operator=sign, right=right):
            return _computed(_COMPUTE.get(type(sign)), left, right, names)
        case cst.Comparison(left=left, comparisons=[cst.ComparisonTarget(operator=sign, comparator=right)]):
            return _computed(_COMPARE.get(type(sign)), left, right, names)
        case cst.Call(func=cst.Attribute(value=cst.Name("tl"), attr=cst.Name(choice)), args=[a, b]):
            return _computed(_CHOOSE.get(choice), a.value, b.value, names)
    return None


def _computed(
    compute: Any, left: cst.BaseExpression, right: cst.BaseExpression, names: Mapping[str, Known]
) -> Known | None:
    a, b = known_value(left, names), known_value(right, names)
    return _plain(compute(a.value, b.value)) if compute is not None and a is not None and b is not None else None


def _plain(value: Value) -> Known:
    return Known(value, repr(value))


class _Fold:
    """Statements with what is known put in. `constants` are parameters whose whole values are constants still."""

    def __init__(self, known: Mapping[str, Known], constants: set[str]) -> None:
        self.known = known
        self.constants = constants

    def suite(self, suite: Sequence[Statement]) -> list[Statement]:
        """The statements up to the first `return`: after one no other is reached."""
        folded: list[Statement] = []
        for statement in suite:
            folded += self.statement(statement)
            if folded and isinstance(only_line(folded[-1]), cst.Return):
                break
        return folded

    def statement(self, statement: Statement) -> list[Statement]:
        match statement:
            case cst.If():
                return self.choice(statement)
            case cst.For(iter=cst.Call(func=cst.Name("range"), args=[count]), target=target) if self.is_one(
                count.value
            ):
                start = cst.Assign([cst.AssignTarget(target)], cst.Integer("0"))
                line = cst.SimpleStatementLine([start], leading_lines=statement.leading_lines)
                return [line, *self.suite(statements(statement))]
            case cst.For(iter=source):
                return [self.block(statement.with_changes(iter=self.put(source)))]
            case cst.While(test=test):
                return [self.block(statement.with_changes(test=self.put(test)))]
        return [self.put(statement)]

    def block(self, node: _Block) -> _Block:
        return with_suite(node, self.suite(statements(node)))

    def choice(self, node: cst.If) -> list[Statement]:
        test = self.put(node.test)
        decided = known_value(test, self.known)
        if decided is None:
            return [self.block(node.with_changes(test=test, orelse=self.otherwise(node.orelse)))]
        if decided.value:
            first, *rest = self.suite(statements(node))
            return [first.with_changes(leading_lines=[*node.leading_lines, *first.leading_lines]), *rest]
        match node.orelse:
            case cst.If() as other:
                return self.choice(other)
            case cst.Else() as other:
                return self.suite(statements(other))
        return []

    def otherwise(self, node: cst.If | cst.Else | None) -> cst.If | cst.Else | None:
        if not isinstance(node, cst.If):
            return node and self.block(node)
        match self.choice(node):
            case []:
                return None
            case [cst.If() as other]:
                return other
            case body:
                return cst.Else(cst.IndentedBlock(body))

    def put(self, node: _Node) -> _Node:
        return rebuilt(node, self.change)

    def change(self, node: cst.CSTNode) -> cst.CSTNode:
        match node:
            case cst.Name(value=name) if name in self.known and self.known[name].text != name:
                return self.known[name].node()
            case cst.IfExp(test=test, body=body, orelse=orelse):
                decided = known_value(test, self.known)
                return node if decided is None else in_place_of(node, body if decided.value else orelse)
            case cst.BooleanOperation():
                return self.junction(node)
            case cst.Comparison() | cst.UnaryOperation(operator=cst.Not()):
                decided = known_value(node, self.known)
                return node if decided is None else decided.node()
            case cst.BinaryOperation():
                return self.arithmetic(node)
            case cst.Call(func=cst.Attribute(value=cst.Name("tl"), attr=cst.Name(name))):
                if name == "cdiv" and self.is_zero(node.args[0].value) and self.is_constant(node.args[1].value):
                    return node.args[0].value
                return self.literal(node)
        return node

    def junction(self, node: cst.BooleanOperation) -> cst.CSTNode:
        """`a and b` is b where a holds and a where not; the same of b, which has no effects."""
        settles = isinstance(node.operator, cst.Or)
        for side, other in ((node.left, node.right), (node.right, node.left)):
            decided = known_value(side, self.known)
            if decided is not None:
                return in_place_of(node, side if bool(decided.value) == settles else other)
        return node

    def arithmetic(self, node: cst.BinaryOperation) -> cst.CSTNode:
        """What adds 0, multiplies with 1 or is made of literals; 0 times a constant."""
        left, right = node.left, node.right
        match node.operator:
            case cst.FloorDivide() if self.whole(right) == 1:
                return in_place_of(node, left)
            case cst.Multiply() if self.is_one(right):
                return in_place_of(node, left)
            case cst.Multiply() if self.is_one(left):
                return in_place_of(node, right)
            case cst.Add() | cst.Subtract() if self.is_zero(right):
                return in_place_of(node, left)
            case cst.Add() if self.is_zero(left):
                return in_place_of(node, right)
            case cst.FloorDivide() | cst.Multiply() if self.is_zero(left) and self.is_constant(right):
                return left
        return self.literal(node)

    def literal(self, node: cst.BaseExpression) -> cst.CSTNode:
        """Whole numbers computed; floats stay as they are written."""
        known = known_value(node, {})
        return known.node() if known is not None and type(known.value) is int else node

    def is_one(self, expression: cst.BaseExpression) -> bool:
        """A 1, or a 1.0, with which templates multiply no whole numbers."""
        return self.whole(expression) == 1 or (isinstance(expression, cst.Float) and float(expression.value) == 1.0)

    def is_zero(self, expression: cst.BaseExpression) -> bool:
        return self.whole(expression) == 0

    def whole(self, expression: cst.BaseExpression) -> int | None:
        known = known_value(expression, self.known)
        return known.value if known is not None and type(known.value) is int else None

    def is_constant(self, expression: cst.BaseExpression) -> bool:
        return any(is_name(expression, name) for name in self.constants) or self.whole(expression) is not None
