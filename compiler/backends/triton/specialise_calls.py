"""Calls among the functions of a program, and what they no longer pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import libcst as cst


def names_read(node: cst.CSTNode) -> set[str]:
    """The variables that an expression reads, functions among them."""
    names = _Names()
    node.visit(names)
    return names.found


class _Names(cst.CSTVisitor):
    """Names of variables, which those of attributes and of arguments are not."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        node.value.visit(self)
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:
        node.value.visit(self)
        return False

    def visit_Name(self, node: cst.Name) -> None:
        self.found.add(node.value)


def uses(
    function: cst.FunctionDef, functions: Mapping[str, cst.FunctionDef]
) -> list[tuple[str, Sequence[cst.Arg] | None]]:
    """The functions that one calls with their arguments, or without where one is handed on for others to call."""
    found = _Uses(functions)
    function.body.visit(found)
    return found.uses


class _Uses(_Names):
    def __init__(self, functions: Mapping[str, cst.FunctionDef]) -> None:
        super().__init__()
        self.functions = functions
        self.uses: list[tuple[str, Sequence[cst.Arg] | None]] = []

    def visit_Call(self, node: cst.Call) -> bool:
        callee = called(node, self.functions)
        if callee is None:
            return True
        if len(node.args) != len(self.functions[callee].params.params) or any(a.keyword or a.star for a in node.args):
            raise ValueError(f"arguments of {callee} are all given, by their places")
        self.uses.append((callee, node.args))
        for argument in node.args:
            argument.visit(self)
        return False

    def visit_Name(self, node: cst.Name) -> None:
        if node.value in self.functions:
            self.uses.append((node.value, None))


def called(expression: cst.BaseExpression, functions: Collection[str]) -> str | None:
    """The function of ours that an expression is a call of."""
    match expression:
        case cst.Call(func=cst.Name(value=name)) if name in functions:
            return name
    return None


def without_parameters(
    functions: Mapping[str, cst.FunctionDef], gone: Mapping[str, Collection[str]]
) -> dict[str, cst.FunctionDef]:
    """The functions without parameters that none of them reads any longer, nor passes."""
    places = {
        name: {i for i, p in enumerate(functions[name].params.params) if p.name.value in parameters}
        for name, parameters in gone.items()
    }
    passing = _Passing(places)
    changed: dict[str, cst.FunctionDef] = {}
    for name, function in functions.items():
        kept = [p for i, p in enumerate(function.params.params) if i not in places.get(name, ())]
        body = cst.ensure_type(function.body.visit(passing), cst.IndentedBlock)
        changed[name] = function.with_changes(params=function.params.with_changes(params=kept), body=body)
    return changed


class _Passing(cst.CSTTransformer):
    def __init__(self, places: Mapping[str, Collection[int]]) -> None:
        super().__init__()
        self.places = places

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        callee = called(updated_node, self.places)
        if callee is None:
            return updated_node
        kept = [a for i, a in enumerate(updated_node.args) if i not in self.places[callee]]
        return updated_node.with_changes(args=kept)
