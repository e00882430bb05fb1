"""What only hands on: a variable that is another one by a second name, a function that returns what it is given.

    lowest = top
    last = S                                     last = tl.minimum(S, top + BLOCK_M)
    last = tl.minimum(last, lowest + BLOCK_M)

A function that returns a number is one, too: a derivative often does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import libcst as cst

from .specialise_calls import all_uses, called
from .specialise_fold import constexprs
from .specialise_tree import (
    Statement,
    begins_paragraph,
    is_name,
    names_read,
    names_set,
    only_line,
    rebuilt,
    statements,
    targets,
    walk,
    with_suite,
)

_Place = TypeVar("_Place", bound=Statement | cst.Else)


def without_copies(functions: Mapping[str, cst.FunctionDef]) -> dict[str, cst.FunctionDef]:
    """The functions, callees first, with what is handed on in the place of what hands it on."""
    functions = _without_plain_functions(functions)
    return {name: _without_copies(f, functions) for name, f in functions.items()}


def _without_plain_functions(functions: Mapping[str, cst.FunctionDef]) -> dict[str, cst.FunctionDef]:
    """The functions without calls of those that return a parameter or a number and do nothing else."""
    results = {name: result for name, f in functions.items() if (result := _plain_result(f)) is not None}

    def change(node: cst.CSTNode) -> cst.CSTNode:
        callee = called(node, results)
        if callee is None:
            return node
        result = results[callee]
        return cst.ensure_type(node, cst.Call).args[result].value if isinstance(result, int) else result

    return {
        name: with_suite(f, [rebuilt(s, change) for s in statements(f)])
        if any(callee in results for callee, _ in all_uses(f, functions))
        else f
        for name, f in functions.items()
    }


def _plain_result(function: cst.FunctionDef) -> int | cst.Float | None:
    """The number that a function returns, or the place of the parameter, if it does nothing else."""
    lines = [only_line(s) for s in statements(function)]
    match [line for line in lines if not _is_docstring(line)]:
        case [cst.Return(value=cst.Name(value=name))]:
            names = [p.name.value for p in function.params.params]
            return names.index(name) if name in names else None
        case [cst.Return(value=cst.Float() as number)]:
            return number
    return None


def _is_docstring(line: cst.CSTNode | None) -> bool:
    return isinstance(line, cst.Expr) and isinstance(line.value, cst.SimpleString)


def _without_copies(function: cst.FunctionDef, functions: Collection[str]) -> cst.FunctionDef:
    copies = _Copies(function, functions)
    suite = copies.suite(statements(function))
    return function if suite is None else _without_copies(with_suite(function, suite), functions)


class _Copies:
    """Looks for one copy in a function, and leaves it out."""

    def __init__(self, function: cst.FunctionDef, functions: Collection[str]) -> None:
        self.function = function
        self.functions = functions
        constants = set(constexprs(function))
        parameters = {p.name.value for p in function.params.params} - constants
        self.variables = parameters.union(*(names_set(s) for s in statements(function)))

    def suite(self, suite: Sequence[Statement]) -> list[Statement] | None:
        """The statements without one that copies; None where none does."""
        for i, statement in enumerate(suite):
            changed = self.inside(statement)
            if changed is not None:
                return [*suite[:i], changed, *suite[i + 1 :]]
            match only_line(statement):
                case cst.Assign(targets=[cst.AssignTarget(cst.Name(value=name))], value=value):
                    rest = list(suite[i + 1 :])
                    after = rest if is_name(value, name) else self.after(name, value, rest)
                    if after is not None:
                        if after and begins_paragraph(statement) and not begins_paragraph(after[0]):
                            after[0] = after[0].with_changes(leading_lines=[cst.EmptyLine(), *after[0].leading_lines])
                        return [*suite[:i], *after]
        return None

    def inside(self, statement: _Place) -> _Place | None:
        if isinstance(statement, cst.SimpleStatementLine):
            return None
        changed = self.suite(statements(statement))
        if changed is not None:
            return with_suite(statement, changed)
        orelse = statement.orelse if isinstance(statement, cst.If) else None
        changed = None if orelse is None else self.inside(orelse)
        return None if changed is None else statement.with_changes(orelse=changed)

    def after(self, name: str, value: cst.BaseExpression, rest: Sequence[Statement]) -> list[Statement] | None:
        """What follows `name = value` with the value in place of the name, where that is possible throughout."""
        if not isinstance(value, cst.Integer) and not any(is_name(value, variable) for variable in self.variables):
            return None
        source = names_read(value)
        changed: list[Statement] = []
        source_is_new = False
        for i, statement in enumerate(rest):
            written = names_set(statement)
            inner = only_line(statement) is None
            if name in written and (inner or isinstance(only_line(statement), cst.AugAssign)):
                return None
            if _reads(statement, name):
                if source_is_new or (inner and source & written) or not self.takes(statement, name, value):
                    return None
                statement = _put(statement, name, value)
            changed.append(statement)
            if name in written:
                return [*changed, *rest[i + 1 :]]
            source_is_new = source_is_new or bool(source & written)
        all_reads = sum(_reads(statement, name) for statement in statements(self.function))
        return changed if all_reads == sum(_reads(statement, name) for statement in rest) else None

    def takes(self, statement: Statement, name: str, value: cst.BaseExpression) -> bool:
        """Numbers are not put where Triton wants a tensor: in front of a dot or a bracket, and what crosses a call.

        Nor is anything returned twice.
        """
        if isinstance(value, cst.Name):
            line = only_line(statement)
            return not (isinstance(line, cst.Return) and not names_read(value).isdisjoint(names_read(line)))
        for part in walk(statement):
            match part:
                case cst.Attribute(value=inner) | cst.Subscript(value=inner) if is_name(inner, name):
                    return False
                case cst.Return() if name in names_read(part):
                    return False
                case cst.Call() if called(part, self.functions) is not None and name in names_read(part):
                    return False
        return True


def _reads(statement: Statement, name: str) -> int:
    """How often a statement reads a variable."""
    names = [part for part in walk(statement) if is_name(part, name)]
    written = [
        part
        for part in walk(statement)
        if (isinstance(part, cst.Assign | cst.AnnAssign) and name in (targets(part) or ()))
        or (isinstance(part, cst.For) and name in names_read(part.target))
    ]
    return len(names) - len(written)


def _put(statement: Statement, name: str, value: cst.BaseExpression) -> Statement:
    def change(node: cst.CSTNode) -> cst.CSTNode:
        return value if is_name(node, name) else node

    line = only_line(statement)
    if isinstance(line, cst.Assign | cst.AnnAssign) and line.value is not None:
        # The name may be set there, too.
        return statement.with_changes(body=[line.with_changes(value=rebuilt(line.value, change))])
    return rebuilt(statement, change)
