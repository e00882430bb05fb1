"""Calls among the functions of a program, and what they no longer pass."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import libcst as cst

from .specialise_tree import names_read, rebuilt, statements, walk, with_suite


def uses(node: cst.CSTNode, functions: Mapping[str, cst.FunctionDef]) -> Iterator[tuple[str, Sequence[cst.Arg] | None]]:
    """The functions that a statement calls with their arguments, or without where one is handed on to be called."""
    if names_read(node).isdisjoint(functions):
        return
    heads = set()
    for part in walk(node):
        callee = called(part, functions)
        if callee is not None:
            call = cst.ensure_type(part, cst.Call)
            if len(call.args) != len(functions[callee].params.params) or any(a.keyword or a.star for a in call.args):
                raise ValueError(f"arguments of {callee} are all given, by their places")
            heads.add(call.func)
            yield callee, call.args
        elif isinstance(part, cst.Name) and part.value in functions and part not in heads:
            yield part.value, None


def all_uses(
    function: cst.FunctionDef, functions: Mapping[str, cst.FunctionDef]
) -> list[tuple[str, Sequence[cst.Arg] | None]]:
    return [use for statement in statements(function) for use in uses(statement, functions)]


def called(node: cst.CSTNode | None, functions: Collection[str]) -> str | None:
    """The function of ours that an expression is a call of."""
    match node:
        case cst.Call(func=cst.Name(value=name)) if name in functions:
            return name
    return None


def without_parameters(
    functions: Mapping[str, cst.FunctionDef], gone: Mapping[str, Collection[str]]
) -> dict[str, cst.FunctionDef]:
    """The functions without parameters that they no longer read, or that are fixed."""
    places = {
        name: {i for i, p in enumerate(functions[name].params.params) if p.name.value in parameters}
        for name, parameters in gone.items()
    }
    places = {name: indices for name, indices in places.items() if indices}

    def passing(node: cst.CSTNode) -> cst.CSTNode:
        callee = called(node, places)
        if callee is None:
            return node
        call = cst.ensure_type(node, cst.Call)
        return call.with_changes(args=[a for i, a in enumerate(call.args) if i not in places[callee]])

    changed: dict[str, cst.FunctionDef] = {}
    for name, function in functions.items():
        suite = [s if names_read(s).isdisjoint(places) else rebuilt(s, passing) for s in statements(function)]
        function = with_suite(function, suite)
        if name in places:
            kept = [p for i, p in enumerate(function.params.params) if i not in places[name]]
            function = function.with_changes(params=function.params.with_changes(params=kept))
        changed[name] = function
    return changed
