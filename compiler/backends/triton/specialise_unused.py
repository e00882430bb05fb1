"""What nothing reads any longer: assignments, parameters, members of results, functions.

Templates compute with values alone: a `tl.load` without a reader goes as any sum does. Stores and atomics stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import libcst as cst

from .specialise_calls import all_uses, called, uses, without_parameters
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

_EFFECTS = ("store", "atomic", "debug_", "device_", "static_", "inline_asm")
"""How functions of Triton's begin that do more than return a value."""


def without_unused(functions: Mapping[str, cst.FunctionDef], roots: Sequence[str]) -> dict[str, cst.FunctionDef]:
    """The functions, callees first, less what one look finds unused. Roots keep the parameters that they read."""
    reached = _reached(functions, roots)
    functions = {name: f for name, f in functions.items() if name in reached}
    handed_on = {name for f in functions.values() for name, arguments in all_uses(f, functions) if arguments is None}
    readers = _Readers(functions)
    left = {name: readers.function(f) for name, f in functions.items()}
    left = without_parameters(left, {n: unread for n, unread in readers.unread.items() if n not in handed_on})
    return _without_members(left, {n: members for n, members in readers.members.items() if n not in handed_on})


def _reached(functions: Mapping[str, cst.FunctionDef], roots: Sequence[str]) -> set[str]:
    reached = set(roots)
    for name in reversed(list(functions)):  # callers come after what they call
        if name in reached:
            reached |= {callee for callee, _ in all_uses(functions[name], functions)}
    return reached


def unread_named(functions: Mapping[str, cst.FunctionDef]) -> dict[str, cst.FunctionDef]:
    """The functions with `_` for each variable that a line sets among others and nothing reads."""
    readers = _Readers(functions, naming=True)
    return {name: readers.function(f) for name, f in functions.items()}


class _Readers:
    """Walks each function backwards with the variables that are read further on, and leaves out what none reads."""

    def __init__(self, functions: Mapping[str, cst.FunctionDef], *, naming: bool = False) -> None:
        self.functions = functions
        self.naming = naming
        self.acting = _acting(functions)
        self.handed_back = {name: _handed_back(f) for name, f in functions.items()}
        self.unread: dict[str, set[str]] = {}
        """The parameters of each function whose values nothing reads."""
        self.members: dict[str, set[int]] = {}
        """Which members of a function's result are read."""

    def function(self, function: cst.FunctionDef) -> cst.FunctionDef:
        suite, read = self.suite(statements(function), set())
        self.unread[function.name.value] = {p.name.value for p in function.params.params} - read
        return with_suite(function, suite)

    def suite(self, suite: Sequence[Statement], read: set[str]) -> tuple[list[Statement], set[str]]:
        """What is left of the statements, and what is read from there on; `read` is what follows reads."""
        kept: list[Statement] = []
        for statement in reversed(suite):
            left, read = self.statement(statement, read)
            if left is not None:
                kept.insert(0, left)
            elif kept and begins_paragraph(statement) and not begins_paragraph(kept[0]):
                kept[0] = kept[0].with_changes(leading_lines=[cst.EmptyLine(), *kept[0].leading_lines])
        return kept, read

    def statement(self, statement: Statement, read: set[str]) -> tuple[Statement | None, set[str]]:
        match statement:
            case cst.If():
                return self.choice(statement, read)
            case cst.For() | cst.While():
                return self.loop(statement, read)
        line = statement.body[0]
        self.count_members(line, read)
        match line:
            case cst.Return():
                return statement, set(names_read(line))
            case cst.Assign(value=cst.BaseExpression() as value) | cst.AugAssign(value=value):
                names = targets(line)
                if names is None:
                    return statement, read | names_read(line)
                if not read & names and not self.acts(value):
                    return None, read
                if self.naming:
                    statement = _named(statement, names - read)
                old = names if isinstance(line, cst.AugAssign) else set()
                return statement, (read - names) | names_read(value) | old
        return statement, read | names_read(line)

    def choice(self, node: cst.If, read: set[str]) -> tuple[cst.If | None, set[str]]:
        suite, read_in_suite = self.suite(statements(node), read)
        orelse, read_else = None, read
        match node.orelse:
            case cst.If() as other:
                orelse, read_else = self.choice(other, read)
            case cst.Else() as other:
                rest, read_else = self.suite(statements(other), read)
                orelse = with_suite(other, rest) if rest else None
        test = node.test
        if not suite and orelse is None:
            return None, read
        if not suite and isinstance(orelse, cst.Else):
            test, suite, orelse = _negated(test), list(statements(orelse)), None
        elif not suite:
            suite = [cst.SimpleStatementLine([cst.Pass()])]
        left = node if test is node.test and orelse is node.orelse else node.with_changes(test=test, orelse=orelse)
        return with_suite(left, suite), read_in_suite | read_else | names_read(test)

    def loop(self, node: cst.For | cst.While, read: set[str]) -> tuple[Statement | None, set[str]]:
        counting = isinstance(node, cst.For)
        source = names_read(node.iter if counting else node.test)
        counted = names_read(node.target) if counting else frozenset()
        at_head = read if counting else read | source
        while True:
            suite, read_in_suite = self.suite(statements(node), at_head)
            if read_in_suite - counted <= at_head:
                break
            at_head = at_head | (read_in_suite - counted)
        if not suite and counting:
            return None, read
        return with_suite(node, suite), at_head | source

    def acts(self, node: cst.CSTNode) -> bool:
        return _acts(node, self.acting)

    def count_members(self, line: cst.BaseSmallStatement, read: set[str]) -> None:
        """Notes which members of the results of functions of ours the line makes use of."""
        whole = [callee for callee, arguments in uses(line, self.functions) if arguments is not None]
        match line:
            case cst.Assign(targets=[cst.AssignTarget(target=cst.Tuple(elements=elements))], value=cst.Call() as call):
                callee = called(call, self.functions)
                if callee is not None:
                    whole.remove(callee)
                    back = self.handed_back[callee]
                    used = self.members.setdefault(callee, set())
                    for i, element in enumerate(elements):
                        name = cst.ensure_type(element.value, cst.Name).value
                        # What goes in and comes back as it was is the caller's own.
                        if name in read and not (i in back and is_name(call.args[back[i]].value, name)):
                            used.add(i)
        for callee in whole:
            self.members.setdefault(callee, set()).update(range(_size(self.functions[callee]) or 1))


def _named(statement: Statement, unread: set[str]) -> Statement:
    line = only_line(statement)
    match line:
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Tuple(elements=elements)) as target]) if unread:
            named = [
                e.with_changes(value=cst.Name("_")) if any(is_name(e.value, name) for name in unread) else e
                for e in elements
            ]
            tuple_ = target.target.with_changes(elements=named)
            return statement.with_changes(body=[line.with_changes(targets=[target.with_changes(target=tuple_)])])
    return statement


def _acting(functions: Mapping[str, cst.FunctionDef]) -> set[str]:
    """The functions that do more than return a value, by themselves or by what they call."""
    acting: set[str] = set()
    for name, function in functions.items():  # callees first
        if any(_acts(statement, acting) for statement in statements(function)):
            acting.add(name)
    return acting


def _acts(node: cst.CSTNode, acting: Collection[str]) -> bool:
    for part in walk(node):
        match part:
            case cst.Call(func=cst.Name(value=name)) if name in acting:
                return True
            case cst.Call(func=cst.Attribute(attr=cst.Name(value=name))) if name.startswith(_EFFECTS):
                return True
    return False


def _returned(function: cst.FunctionDef) -> list[cst.BaseExpression | None]:
    return [
        part.value for statement in statements(function) for part in walk(statement) if isinstance(part, cst.Return)
    ]


def _size(function: cst.FunctionDef) -> int | None:
    """How many members a result has, where each `return` has as many."""
    sizes = {len(value.elements) if isinstance(value, cst.Tuple) else None for value in _returned(function)}
    return sizes.pop() if len(sizes) == 1 else None


def _handed_back(function: cst.FunctionDef) -> dict[int, int]:
    """The members of the result that are a parameter as it came, each with the place of that."""
    size = _size(function)
    if size is None:
        return {}
    results = [cst.ensure_type(value, cst.Tuple).elements for value in _returned(function)]
    changed = {name for statement in statements(function) for name in names_set(statement)}
    back: dict[int, int] = {}
    for place, parameter in enumerate(function.params.params):
        name = parameter.name.value
        if name not in changed:
            back |= {i: place for i in range(size) if all(is_name(elements[i].value, name) for elements in results)}
    return back


def _negated(test: cst.BaseExpression) -> cst.BaseExpression:
    match test:
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            return inner
        case cst.BooleanOperation() | cst.IfExp() if not test.lpar:
            test = test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.UnaryOperation(cst.Not(), test)


def _without_members(
    functions: Mapping[str, cst.FunctionDef], members: Mapping[str, set[int]]
) -> dict[str, cst.FunctionDef]:
    """The functions without members of results that no caller reads."""
    shorter = {name: kept for name, kept in members.items() if 0 < len(kept) < (_size(functions[name]) or 0)}

    changed: dict[str, cst.FunctionDef] = {}
    for name, function in functions.items():

        def change(node: cst.CSTNode, own: Collection[int] | None = shorter.get(name)) -> cst.CSTNode:
            match node:
                case cst.Return(value=cst.BaseExpression() as value) if own is not None:
                    return node.with_changes(value=_part(value, own))
                case cst.Assign(value=value, targets=[target]):
                    callee = called(value, shorter)
                    if callee is not None:
                        part = _part(target.target, shorter[callee])
                        return node.with_changes(targets=[target.with_changes(target=part)])
            return node

        if shorter:
            function = with_suite(function, [rebuilt(s, change) for s in statements(function)])
        changed[name] = function
    return changed


def _part(members: cst.BaseExpression, kept: Collection[int]) -> cst.BaseExpression:
    elements = [e for i, e in enumerate(cst.ensure_type(members, cst.Tuple).elements) if i in kept]
    return elements[0].value if len(elements) == 1 else members.with_changes(elements=elements)
