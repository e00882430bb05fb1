"""Kernels for what a spec asks for, from templates that can do everything: a partial evaluator.

A template is a working kernel whose features are `tl.constexpr` parameters, tested in `if` statements alone. Given the
features, `specialise` follows them through all that the kernel calls, decides the tests, and leaves out what is unused
then, down to parameters. What is left is the template's own text with its comments, and compiles to the same code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import libcst as cst

from .numbering import numbered
from .specialise_copies import without_copies
from .specialise_fold import Value, fold, folded_with, numbers_in
from .specialise_layout import comment, definition_text, function_text
from .specialise_read import Program, read
from .specialise_tree import names_in, names_read
from .specialise_unused import unread_named, without_unused


@dataclass(frozen=True)
class Specialised:
    imports: tuple[str, ...]
    """The lines that the text needs in front of it."""
    text: str
    """Constants, then functions, callees first; ends with a line end."""
    parameters: Mapping[str, tuple[str, ...]]
    """What each root still takes, by name, in order: what a launcher has to pass."""


def specialise(
    roots: Sequence[str],
    constants: Mapping[str, Value],
    replaced: Mapping[str, str] | None = None,
    number: int = 1,
    kind: str = "",
) -> Specialised:
    """The kernels `roots`, "template.function" each, with `constants` fixed and some functions replaced.

    A constant is a `tl.constexpr` parameter of a root; a number stays under its name, as a constant of the file. Whose
    value is the name of another goes by that name.
    `replaced` has, by name, the text of functions that stand in for those of the templates, `score` for one: with the
    same arguments, and after what else they bring along. `number` counts the variants in one file: from the second on
    it ends every name. Names without the word `kind` in them get it in front: a file may hold several kinds.

    Raises KeyError for templates, roots and functions that do not exist, ValueError for a constant that no root takes
    and for a template that is not in the dialect: mistakes of the compiler's, not of a user's.
    """
    program, functions = _kept(tuple(roots), tuple(constants.items()), tuple((replaced or {}).items()))
    names = [_root(root)[1] for root in roots]
    taken = _taken(program, names)
    return Specialised(
        _imports(program, functions),
        _text(
            program,
            functions,
            {name: constants[name] for name in dict.fromkeys(taken) if name in constants},
            lambda name: numbered(_of_kind(name, kind), number),
        ),
        {name: tuple(p.name.value for p in functions[name].params.params) for name in names},
    )


@lru_cache(maxsize=64)
def _kept(
    roots: tuple[str, ...], constants: tuple[tuple[str, Value], ...], replaced: tuple[tuple[str, str], ...]
) -> tuple[Program, dict[str, cst.FunctionDef]]:
    """The templates, and what is left of their functions, whatever these will be called."""
    program, fixed = read([_root(root) for root in roots], dict(replaced)), dict(constants)
    names = [_root(root)[1] for root in roots]
    if unknown := sorted(set(fixed) - set(_taken(program, names))):
        raise ValueError(f"no constant {unknown[0]} in {', '.join(roots)}")
    if clash := sorted(set(fixed) & set(program.constants)):
        raise ValueError(f"{clash[0]} is a constant of a template already")
    return program, _settled(fold(program.functions, names, fixed), names, fixed)


def _taken(program: Program, names: Sequence[str]) -> list[str]:
    """The constants that roots take."""
    return [p.name.value for name in names for p in program.functions[name].params.params if p.annotation is not None]


def _root(root: str) -> tuple[str, str]:
    template, dot, function = root.partition(".")
    if not dot or "." in function:
        raise ValueError(f"a root is template.function, and not {root}")
    return template, function


def _settled(
    functions: Mapping[str, cst.FunctionDef], roots: Sequence[str], constants: Mapping[str, Value]
) -> dict[str, cst.FunctionDef]:
    """The functions, less all that is unused or only hands on: where something goes, something else may."""
    while True:
        left = without_copies(without_unused(functions, roots))
        changed = {name: f for name, f in left.items() if f is not functions[name]}
        left |= {name: folded_with(f, numbers_in(f, constants)) for name, f in changed.items()}
        if not changed and len(left) == len(functions):
            return unread_named(left)
        functions = left


def _imports(program: Program, functions: Mapping[str, cst.FunctionDef]) -> tuple[str, ...]:
    read_names = {name for function in functions.values() for name in names_in(function)}
    lines = {definition_text([line]): None for name, line in program.imports.items() if name in read_names}
    return tuple(lines)


def _of_kind(name: str, kind: str) -> str:
    if not kind or kind in name.lower():
        return name
    return f"{kind.upper()}_{name}" if name.isupper() else f"{kind}_{name}"


_CONSTANT = re.compile(r"\b[A-Z][A-Z0-9_]+\b")


class _Renamed(cst.CSTTransformer):
    """Renames functions and constants where they are defined and where they are read."""

    def __init__(self, names: Collection[str], renamed: Callable[[str], str]) -> None:
        super().__init__()
        self.names, self.renamed = names, renamed

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        name = updated_node.value
        return updated_node.with_changes(value=self.renamed(name)) if name in self.names else updated_node

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        return updated_node.with_changes(value=self.spoken(updated_node.value))

    def leave_Comment(self, original_node: cst.Comment, updated_node: cst.Comment) -> cst.Comment:
        return updated_node.with_changes(value=self.spoken(updated_node.value))

    def spoken(self, text: str) -> str:
        """Prose that speaks of constants, under the names that they have now."""
        return _CONSTANT.sub(lambda found: self.renamed(found[0]) if found[0] in self.names else found[0], text)


def _defined(lines: Sequence[cst.SimpleStatementLine], renaming: _Renamed) -> str:
    return definition_text([cst.ensure_type(line.visit(renaming), cst.SimpleStatementLine) for line in lines])


def _text(
    program: Program,
    functions: Mapping[str, cst.FunctionDef],
    constants: Mapping[str, Value],
    renamed: Callable[[str], str],
) -> str:
    read_names = {name for function in functions.values() for name in names_in(function)}
    kept: list[str] = []
    for name, lines in reversed(program.constants.items()):  # each after those that it reads
        if name in read_names:
            read_names |= names_read(lines[0])
            kept.insert(0, name)
    numbers = [name for name, value in constants.items() if name in read_names and not isinstance(value, bool)]
    same = {name: value for name, value in constants.items() if isinstance(value, str) and value in constants}
    renaming = _Renamed({*kept, *numbers, *functions, *same}, lambda name: renamed(same.get(name, name)))
    definitions = [_defined(program.constants[name], renaming) for name in kept]
    definitions += [f"{renamed(name)} = tl.constexpr({constants[name]!r})" for name in numbers]
    parts = ["\n".join(definitions)] if definitions else []
    for name, function in functions.items():
        if name in program.about:
            parts.append(comment(renaming.spoken(program.about[name])))
        parts.append(function_text(cst.ensure_type(function.visit(renaming), cst.FunctionDef)))
    return "\n\n\n".join(parts) + "\n"
