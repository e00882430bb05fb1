"""An expression or a line of a template as text, on one line, spaced as `ruff format` does."""

from __future__ import annotations

import libcst as cst

_SIGNS: dict[type[cst.CSTNode], str] = {
    cst.Add: "+",
    cst.Subtract: "-",
    cst.Multiply: "*",
    cst.Divide: "/",
    cst.FloorDivide: "//",
    cst.Modulo: "%",
    cst.BitAnd: "&",
    cst.BitOr: "|",
    cst.BitXor: "^",
    cst.LeftShift: "<<",
    cst.RightShift: ">>",
    cst.And: "and",
    cst.Or: "or",
    cst.Equal: "==",
    cst.NotEqual: "!=",
    cst.LessThan: "<",
    cst.LessThanEqual: "<=",
    cst.GreaterThan: ">",
    cst.GreaterThanEqual: ">=",
    cst.Is: "is",
    cst.IsNot: "is not",
    cst.AddAssign: "+=",
    cst.SubtractAssign: "-=",
    cst.MultiplyAssign: "*=",
    cst.DivideAssign: "/=",
    cst.BitAndAssign: "&=",
    cst.BitOrAssign: "|=",
    cst.Minus: "-",
    cst.Plus: "+",
    cst.BitInvert: "~",
    cst.Not: "not ",
}


def line_text(line: cst.BaseSmallStatement) -> str:
    match line:
        case cst.Assign(targets=[cst.AssignTarget(target=target)], value=value):
            return f"{_bare(target)} = {_bare(value)}"
        case cst.AnnAssign(target=target, annotation=annotation, value=cst.BaseExpression() as value):
            return f"{_bare(target)}: {text(annotation.annotation)} = {_bare(value)}"
        case cst.AugAssign(target=target, operator=operator, value=value):
            return f"{text(target)} {_sign(operator)} {_bare(value)}"
        case cst.Return(value=None):
            return "return"
        case cst.Return(value=cst.BaseExpression() as value):
            return f"return {_bare(value)}"
        case cst.Expr(value=value):
            return text(value)
        case cst.Pass():
            return "pass"
        case cst.Import() | cst.ImportFrom():
            return cst.Module([]).code_for_node(line)
    raise ValueError(f"a template has no {type(line).__name__}")


def condition_text(expression: cst.BaseExpression) -> str:
    """What follows `if`, `while` or `in`."""
    return _bare(expression)


def _bare(expression: cst.BaseExpression) -> str:
    """Without parentheses around it all, which a layout puts there as it needs them; but those of a tuple stay."""
    if isinstance(expression, cst.Tuple):
        return text(expression)
    return _inner(expression)


def text(node: cst.BaseExpression) -> str:
    parentheses = len(node.lpar)
    return "(" * parentheses + _inner(node) + ")" * parentheses


def _inner(node: cst.BaseExpression) -> str:
    match node:
        case cst.Name(value=value) | cst.Integer(value=value) | cst.Float(value=value) | cst.SimpleString(value=value):
            return value
        case cst.Attribute(value=value, attr=attr):
            return f"{text(value)}.{attr.value}"
        case cst.Call(func=func, args=args):
            return f"{text(func)}({', '.join(_argument(a) for a in args)})"
        case cst.Subscript(value=value, slice=elements):
            return f"{text(value)}[{', '.join(_slice(e.slice) for e in elements)}]"
        case cst.List(elements=elements):
            return f"[{', '.join(text(e.value) for e in elements)}]"
        case cst.Tuple(elements=[only]):
            return f"{text(only.value)},"
        case cst.Tuple(elements=elements):
            return ", ".join(text(e.value) for e in elements)
        case cst.UnaryOperation(operator=operator, expression=expression):
            return f"{_sign(operator)}{text(expression)}"
        case cst.BinaryOperation() | cst.BooleanOperation():
            return f"{text(node.left)} {_sign(node.operator)} {text(node.right)}"
        case cst.Comparison(left=left, comparisons=comparisons):
            rest = (f" {_sign(c.operator)} {text(c.comparator)}" for c in comparisons)
            return text(left) + "".join(rest)
        case cst.IfExp(body=body, test=test, orelse=orelse):
            return f"{text(body)} if {text(test)} else {text(orelse)}"
    raise ValueError(f"a template has no {type(node).__name__}")


def _argument(argument: cst.Arg) -> str:
    name = "" if argument.keyword is None else f"{argument.keyword.value}="
    return f"{name}{text(argument.value)}"


def _slice(node: cst.BaseSlice) -> str:
    match node:
        case cst.Index(value=value):
            return text(value)
        case cst.Slice(lower=lower, upper=upper, step=None):
            return ":".join("" if part is None else text(part) for part in (lower, upper))
    raise ValueError("a template has no slice with a step")


def _sign(operator: cst.CSTNode) -> str:
    if type(operator) not in _SIGNS:
        raise ValueError(f"a template has no {type(operator).__name__}")
    return _SIGNS[type(operator)]
