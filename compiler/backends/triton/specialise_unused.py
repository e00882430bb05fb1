"""What nothing reads any longer: assignments, parameters, members of results, functions.

Templates compute with values alone: a `tl.load` without a reader goes as any sum does. Stores and atomics stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import libcst as cst

from .specialise_calls import called, names_read, uses, without_parameters

_EFFECTS = ("store", "atomic", "debug_", "device_", "static_", "inline_asm")
"""How functions of Triton's begin that do more than return a value."""


def without_unused(functions: Mapping[str, cst.FunctionDef], roots: Sequence[str]) -> dict[str, cst.FunctionDef]:
    """The functions, callees first, until nothing of them is unused. Roots keep the parameters that they read."""
    while True:
        reachable = _reachable(functions, roots)
        functions = {name: f for name, f in functions.items() if name in reachable}
        handed_on = {name for f in functions.values() for name, arguments in uses(f, functions) if arguments is None}
        readers = _Readers(functions)
        changed = {name: readers.function(f) for name, f in functions.items()}
        changed = without_parameters(
            changed, {name: unread for name, unread in readers.unread.items() if name not in handed_on}
        )
        changed = _without_members(
            changed, {name: members for name, members in readers.members.items() if name not in handed_on}
        )
        if all(changed[name].deep_equals(f) for name, f in functions.items()):
            return changed
        functions = changed


def _reachable(functions: Mapping[str, cst.FunctionDef], roots: Sequence[str]) -> set[str]:
    reached = set(roots)
    for name in reversed(functions):  # callers come after what they call
        if name in reached:
            reached |= {callee for callee, _ in uses(functions[name], functions)}
    return reached


class _Readers:
    """Walks each function backwards with the variables that are read further on, and leaves out what none reads."""

    def __init__(self, functions: Mapping[str, cst.FunctionDef]) -> None:
        self.functions = functions
        self.acting = _acting(functions)
        self.unread: dict[str, set[str]] = {}
        """The parameters of each function whose values nothing reads."""
        self.members: dict[str, set[int]] = {}
        """Which members of a function's result are read."""
        self.handed_back = {name: _handed_back(f) for name, f in functions.items()}

    def function(self, function: cst.FunctionDef) -> cst.FunctionDef:
        body, read = self.suite(function.body.body, set())
        self.unread[function.name.value] = {p.name.value for p in function.params.params} - read
        return function.with_changes(body=function.body.with_changes(body=body))

    def suite(
        self, statements: Sequence[cst.BaseStatement], read: set[str]
    ) -> tuple[list[cst.BaseStatement], set[str]]:
        """What is left of the statements, and what is read from there on; `read` is what follows reads."""
        kept: list[cst.BaseStatement] = []
        for statement in reversed(statements):
            left, read = self.statement(statement, read)
            if left is not None:
                kept.insert(0, left)
            elif kept and _begins_paragraph(statement) and not _begins_paragraph(kept[0]):
                kept[0] = kept[0].with_changes(leading_lines=[cst.EmptyLine(), *kept[0].leading_lines])
        return kept, read

    def statement(self, statement: cst.BaseStatement, read: set[str]) -> tuple[cst.BaseStatement | None, set[str]]:
        match statement:
            case cst.If():
                return self.choice(statement, read)
            case cst.For() | cst.While():
                return self.loop(statement, read)
        line = cst.ensure_type(statement, cst.SimpleStatementLine).body[0]
        match line:
            case cst.Return():
                read = set()
            case (
                cst.Assign(value=value)
                | cst.AugAssign(value=value)
                | cst.AnnAssign(value=cst.BaseExpression() as value)
            ):
                targets = _targets(line)
                self.count_members(line, read)
                if targets is not None:
                    if not read & targets and not self.acts(value):
                        return None, read
                    read = read - targets
            case cst.Expr(value=value):
                self.count_members(line, read)
        return statement, read | names_read(line) - _written_only(line)

    def choice(self, node: cst.If, read: set[str]) -> tuple[cst.If | None, set[str]]:
        body, read_in_body = self.suite(node.body.body, read)
        orelse, read_else = None, read
        match node.orelse:
            case cst.If() as other:
                orelse, read_else = self.choice(other, read)
            case cst.Else() as other:
                rest, read_else = self.suite(other.body.body, read)
                orelse = other.with_changes(body=other.body.with_changes(body=rest)) if rest else None
        if not body and orelse is None:
            return None, read
        test = node.test
        if not body:
            if isinstance(orelse, cst.If):
                body = [cst.SimpleStatementLine([cst.Pass()])]
            else:
                test, body, orelse = _negated(test), cst.ensure_type(orelse, cst.Else).body.body, None
        left = node.with_changes(test=test, body=node.body.with_changes(body=body), orelse=orelse)
        return left, read_in_body | read_else | names_read(test)

    def loop(self, node: cst.For | cst.While, read: set[str]) -> tuple[cst.BaseStatement | None, set[str]]:
        source = node.iter if isinstance(node, cst.For) else node.test
        counted = names_read(node.target) if isinstance(node, cst.For) else set()
        at_head = read | (names_read(source) if isinstance(node, cst.While) else set())
        while True:
            body, read_in_body = self.suite(node.body.body, at_head)
            if read_in_body - counted <= at_head:
                break
            at_head = at_head | read_in_body - counted
        if not body and isinstance(node, cst.For):
            return None, read
        return node.with_changes(body=node.body.with_changes(body=body)), at_head | names_read(source)

    def acts(self, expression: cst.BaseExpression) -> bool:
        return _acts(expression, self.acting)

    def count_members(self, line: cst.BaseSmallStatement, read: set[str]) -> None:
        """Notes which members of the results of functions of ours the line makes use of."""
        match line:
            case cst.Assign(targets=[cst.AssignTarget(target=cst.Tuple(elements=elements))], value=cst.Call() as call):
                callee = called(call, self.functions)
                if callee is not None:
                    back = self.handed_back[callee]
                    for i, element in enumerate(elements):
                        name = cst.ensure_type(element.value, cst.Name).value
                        same = i in back and _is_name(call.args[back[i]].value, name)
                        self.members.setdefault(callee, set()).update({i} if name in read and not same else ())
                    return
        own = _Results(self.functions)
        line.visit(own)
        for callee in own.found:
            self.members.setdefault(callee, set()).update(range(_size(self.functions[callee]) or 1))


def _acting(functions: Mapping[str, cst.FunctionDef]) -> set[str]:
    """The functions that do more than return a value, by themselves or by what they call."""
    acting: set[str] = set()
    for name, function in functions.items():  # callees first
        if _acts(function.body, acting):
            acting.add(name)
    return acting


def _acts(node: cst.CSTNode, acting: Collection[str]) -> bool:
    found = _Called()
    node.visit(found)
    return any(name in acting or name.split(".")[-1].startswith(_EFFECTS) for name in found.names)


class _Called(cst.CSTVisitor):
    """The last names of all that is called: `store` of `tl.store(...)`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def visit_Call(self, node: cst.Call) -> None:
        match node.func:
            case cst.Name(value=name) | cst.Attribute(attr=cst.Name(value=name)):
                self.names.add(name)


class _Results(cst.CSTVisitor):
    """The functions of ours that are called somewhere in an expression."""

    def __init__(self, functions: Mapping[str, cst.FunctionDef]) -> None:
        super().__init__()
        self.functions = functions
        self.found: set[str] = set()

    def visit_Call(self, node: cst.Call) -> None:
        callee = called(node, self.functions)
        if callee is not None:
            self.found.add(callee)


class _Returned(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.values: list[cst.BaseExpression | None] = []
        self.assigned: set[str] = set()

    def visit_Return(self, node: cst.Return) -> None:
        self.values.append(node.value)

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self.assigned |= names_read(node.target)

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self.assigned |= names_read(node.target)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self.assigned |= names_read(node.target)

    def visit_For(self, node: cst.For) -> None:
        self.assigned |= names_read(node.target)


def _size(function: cst.FunctionDef) -> int | None:
    """How many members a result has, where each `return` has as many."""
    returned = _Returned()
    function.body.visit(returned)
    sizes = {len(v.elements) if isinstance(v, cst.Tuple) else None for v in returned.values}
    return sizes.pop() if len(sizes) == 1 else None


def _handed_back(function: cst.FunctionDef) -> dict[int, int]:
    """The members of the result that are a parameter as it came, each with the place of that."""
    returned = _Returned()
    function.body.visit(returned)
    size = _size(function)
    if size is None:
        return {}
    back: dict[int, int] = {}
    for place, parameter in enumerate(function.params.params):
        name = parameter.name.value
        if name not in returned.assigned:
            members = [i for i in range(size) if all(_is_name(v.elements[i].value, name) for v in returned.values)]
            back |= dict.fromkeys(members, place)
    return back


def _is_name(expression: cst.BaseExpression, name: str) -> bool:
    return isinstance(expression, cst.Name) and expression.value == name


def _targets(line: cst.Assign | cst.AugAssign | cst.AnnAssign) -> set[str] | None:
    """The variables that a line sets; None where it sets parts of one."""
    target = line.targets[0].target if isinstance(line, cst.Assign) else line.target
    parts = [element.value for element in target.elements] if isinstance(target, cst.Tuple) else [target]
    if not all(isinstance(part, cst.Name) for part in parts):
        return None
    return {cst.ensure_type(part, cst.Name).value for part in parts}


def _written_only(line: cst.BaseSmallStatement) -> set[str]:
    """The variables of a line that it sets and does not read."""
    match line:
        case cst.Assign(value=value) | cst.AnnAssign(value=cst.BaseExpression() as value):
            return (_targets(line) or set()) - names_read(value)
    return set()


def _begins_paragraph(statement: cst.BaseStatement) -> bool:
    lines = statement.leading_lines
    return bool(lines) and lines[0].comment is None


def _negated(test: cst.BaseExpression) -> cst.BaseExpression:
    match test:
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            return inner
        case cst.BooleanOperation() | cst.IfExp():
            test = test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.UnaryOperation(cst.Not(), test)


def _without_members(
    functions: Mapping[str, cst.FunctionDef], members: Mapping[str, set[int]]
) -> dict[str, cst.FunctionDef]:
    """The functions without members of results that no caller reads."""
    shorter = {
        name: kept
        for name, kept in members.items()
        if kept and (size := _size(functions[name])) is not None and len(kept) < size
    }
    changed: dict[str, cst.FunctionDef] = {}
    for name, function in functions.items():
        body = function.body.visit(_Shorter(shorter, shorter.get(name)))
        changed[name] = function.with_changes(body=body)
    return changed


class _Shorter(cst.CSTTransformer):
    def __init__(self, shorter: Mapping[str, set[int]], own: set[int] | None) -> None:
        super().__init__()
        self.shorter = shorter
        self.own = own

    def leave_Return(self, original_node: cst.Return, updated_node: cst.Return) -> cst.Return:
        if self.own is None or updated_node.value is None:
            return updated_node
        return updated_node.with_changes(value=_part(updated_node.value, self.own))

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        callee = called(updated_node.value, self.shorter)
        if callee is None:
            return updated_node
        target = _part(updated_node.targets[0].target, self.shorter[callee])
        return updated_node.with_changes(targets=[updated_node.targets[0].with_changes(target=target)])


def _part(members: cst.BaseExpression, kept: Collection[int]) -> cst.BaseExpression:
    elements = [e for i, e in enumerate(cst.ensure_type(members, cst.Tuple).elements) if i in kept]
    return elements[0].value if len(elements) == 1 else members.with_changes(elements=elements)
