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
from typing import TypeAlias

import libcst as cst

from .specialise_calls import uses, without_parameters

Value: TypeAlias = bool | int | float | str

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


@dataclass(frozen=True)
class Known:
    """A value, and how it is written."""

    value: Value
    text: str


def fold(
    functions: Mapping[str, cst.FunctionDef], roots: Sequence[str], constants: Mapping[str, Value]
) -> dict[str, cst.FunctionDef]:
    """The functions that the roots reach; `constants` are parameters of roots. Callees come first, before and after."""
    arriving: dict[str, dict[str, Known | None]] = {}
    for root in roots:
        given = {name: _written(name, value) for name, value in constants.items()}
        arriving[root] = {name: given.get(name) for name in _constexprs(functions[root])}
    folded: dict[str, cst.FunctionDef] = {}
    for name, function in reversed(functions.items()):
        if name not in arriving:
            continue
        fixed = {parameter: known for parameter, known in arriving[name].items() if known is not None}
        free = {p.name.value for p in function.params.params} - set(fixed)
        numbers = {n: _written(n, v) for n, v in constants.items() if not isinstance(v, bool) and n not in free}
        body = _Fold(numbers | fixed).suite(function.body.body)
        folded[name] = function.with_changes(body=function.body.with_changes(body=body))
        for callee, arguments in uses(folded[name], functions):
            if callee in folded:
                raise ValueError(f"{name} calls {callee}, which stands below it")
            _meet(arriving, functions[callee], arguments, numbers)
    gone = {name: {p for p, known in known_of.items() if known is not None} for name, known_of in arriving.items()}
    return without_parameters(dict(reversed(folded.items())), gone)


def _written(name: str, value: Value) -> Known:
    return Known(value, str(value) if isinstance(value, bool) else name)


def _constexprs(function: cst.FunctionDef) -> list[str]:
    return [p.name.value for p in function.params.params if p.annotation is not None]


def _meet(
    arriving: dict[str, dict[str, Known | None]],
    callee: cst.FunctionDef,
    arguments: Sequence[cst.Arg] | None,
    numbers: Mapping[str, Known],
) -> None:
    """What is known of the callee's parameters after one more call."""
    name = callee.name.value
    constexprs = _constexprs(callee)
    if arguments is None:
        arriving[name] = dict.fromkeys(constexprs)
        return
    passed = {p.name.value: known_value(a.value, numbers) for p, a in zip(callee.params.params, arguments, strict=True)}
    before = arriving.get(name)
    arriving[name] = {c: passed[c] if before is None else _agreed(before[c], passed[c]) for c in constexprs}


def _agreed(a: Known | None, b: Known | None) -> Known | None:
    if a is None or b is None or type(a.value) is not type(b.value) or a.value != b.value:
        return None
    return a if a.text == b.text else Known(a.value, repr(a.value))


def known_value(expression: cst.BaseExpression, names: Mapping[str, Known]) -> Known | None:
    """What the expression is, where constants alone decide."""
    match expression:
        case cst.Name(value="True" | "False" as word):
            return Known(word == "True", word)
        case cst.Name(value=name):
            return names.get(name)
        case cst.Integer() | cst.Float() | cst.SimpleString():
            return Known(expression.evaluated_value, expression.value)
        case cst.UnaryOperation(operator=cst.Minus(), expression=inner):
            known = known_value(inner, names)
            return known and Known(-known.value, f"-{known.text}")
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            known = known_value(inner, names)
            return known and _plain(not known.value)
        case cst.BinaryOperation(left=left, operator=sign, right=right) if type(sign) in _COMPUTE:
            a, b = known_value(left, names), known_value(right, names)
            return _plain(_COMPUTE[type(sign)](a.value, b.value)) if a and b else None
        case cst.Comparison(left=left, comparisons=[cst.ComparisonTarget(operator=sign, comparator=right)]):
            a, b = known_value(left, names), known_value(right, names)
            return _plain(_COMPARE[type(sign)](a.value, b.value)) if a and b and type(sign) in _COMPARE else None
    return None


def _plain(value: Value) -> Known:
    return Known(value, repr(value))


class _Fold(cst.CSTTransformer):
    """Statements with what is known put in; each suite is folded by `suite`, expressions by `visit`."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        super().__init__()
        self.known = known

    def suite(self, statements: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
        """The statements up to the first `return`: after one no other is reached."""
        folded: list[cst.BaseStatement] = []
        for statement in statements:
            folded += self.statement(statement)
            if (
                folded
                and isinstance(folded[-1], cst.SimpleStatementLine)
                and isinstance(folded[-1].body[0], cst.Return)
            ):
                break
        return folded

    def statement(self, statement: cst.BaseStatement) -> list[cst.BaseStatement]:
        match statement:
            case cst.If():
                return self.choice(statement)
            case cst.For(iter=source):
                return [statement.with_changes(iter=source.visit(self), body=self.block(statement.body))]
            case cst.While(test=test):
                return [statement.with_changes(test=test.visit(self), body=self.block(statement.body))]
            case cst.SimpleStatementLine():
                return [statement.visit(self)]
        raise ValueError(f"a template has no {type(statement).__name__} in a function")

    def block(self, block: cst.BaseSuite) -> cst.BaseSuite:
        return block.with_changes(body=self.suite(block.body))

    def choice(self, node: cst.If) -> list[cst.BaseStatement]:
        test = node.test.visit(self)
        decided = known_value(test, self.known)
        if decided is None:
            return [node.with_changes(test=test, body=self.block(node.body), orelse=self.otherwise(node.orelse))]
        if decided.value:
            first, *rest = self.suite(node.body.body)
            return [first.with_changes(leading_lines=[*node.leading_lines, *first.leading_lines]), *rest]
        match node.orelse:
            case cst.If() as other:
                return self.choice(other)
            case cst.Else() as other:
                return self.suite(other.body.body)
        return []

    def otherwise(self, node: cst.If | cst.Else | None) -> cst.If | cst.Else | None:
        if not isinstance(node, cst.If):
            return node and node.with_changes(body=self.block(node.body))
        match self.choice(node):
            case []:
                return None
            case [cst.If() as other]:
                return other
            case body:
                return cst.Else(cst.IndentedBlock(body))

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        known = self.known.get(updated_node.value)
        return cst.parse_expression(known.text) if known else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_UnaryOperation(
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        return self.decided(updated_node) if isinstance(updated_node.operator, cst.Not) else updated_node

    def leave_Comparison(self, original_node: cst.Comparison, updated_node: cst.Comparison) -> cst.BaseExpression:
        return self.decided(updated_node)

    def leave_IfExp(self, original_node: cst.IfExp, updated_node: cst.IfExp) -> cst.BaseExpression:
        decided = known_value(updated_node.test, self.known)
        return updated_node if decided is None else updated_node.body if decided.value else updated_node.orelse

    def leave_BooleanOperation(
        self, original_node: cst.BooleanOperation, updated_node: cst.BooleanOperation
    ) -> cst.BaseExpression:
        """`a and b` is b where a holds and a where not; the same of b, which has no effects."""
        settles = isinstance(updated_node.operator, cst.Or)
        for side, other in ((updated_node.left, updated_node.right), (updated_node.right, updated_node.left)):
            decided = known_value(side, self.known)
            if decided is not None:
                return side if bool(decided.value) == settles else other
        return updated_node

    def decided(self, expression: cst.BaseExpression) -> cst.BaseExpression:
        known = known_value(expression, self.known)
        return cst.parse_expression(known.text) if known else expression
