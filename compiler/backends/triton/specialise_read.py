"""What some kernels come from, read from templates as syntax trees: functions, module constants, imports.

Templates keep to a small dialect. A module has a docstring, imports, constants, each with its docstring, and functions;
what one template imports from another keeps its name. What is not so is a fault of the template, told as a ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import libcst as cst

from .specialise_tree import names_in, names_read

TEMPLATES = Path(__file__).parent / "templates"

Constant: TypeAlias = tuple[cst.SimpleStatementLine, ...]
"""The assignment, and the docstring where there is one."""


@dataclass(frozen=True)
class Program:
    """What a set of kernels reaches. Of functions that call each other, the called comes first."""

    functions: dict[str, cst.FunctionDef]
    constants: dict[str, Constant]
    imports: dict[str, cst.SimpleStatementLine]
    """By the name that each binds."""
    about: dict[str, str]
    """The docstring of each root's template, by the first of its functions here."""


@dataclass
class _Template:
    name: str
    docstring: str | None
    functions: dict[str, cst.FunctionDef] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    imports: dict[str, cst.SimpleStatementLine] = field(default_factory=dict)
    siblings: dict[str, str] = field(default_factory=dict)
    """The template that each imported name is from."""


def read(roots: Sequence[tuple[str, str]], replaced: Mapping[str, str]) -> Program:
    """What the roots, (template, function) each, reach, with the functions in `replaced` as given there.

    A replacement is the text of the function, after functions and constants of its own that it reads.
    """
    reading = _Reading(replaced, {module for module, _ in roots})
    for module, function in roots:
        if function not in reading.template(module).functions:
            raise KeyError(f"no function {function} in the template {module}")
    for module, function in roots:
        reading.reach(module, function)
    if unused := sorted(set(replaced) - reading.taken):
        raise KeyError(f"{unused[0]} is replaced, but not called by {', '.join(name for _, name in roots)}")
    return reading.program


class _Reading:
    def __init__(self, replaced: Mapping[str, str], root_templates: set[str]) -> None:
        self.replaced = replaced
        self.root_templates = root_templates
        self.program = Program({}, {}, {}, {})
        self.taken: set[str] = set()
        """The replacements that stand in for something."""
        self._templates: dict[str, _Template] = {}
        self._origins: dict[str, str] = {}
        """The template of each name that was reached."""

    def template(self, name: str) -> _Template:
        if name not in self._templates:
            path = TEMPLATES / f"{name}.py"
            if not path.is_file():
                raise KeyError(f"no template called {name}")
            self._templates[name] = _template(name, path.read_text(encoding="utf-8"))
        return self._templates[name]

    def reach(self, module: str, name: str) -> None:
        """Takes in what stands under a name in a template, after all that it reads."""
        template = self.template(module)
        if name in template.siblings:
            self.reach(template.siblings[name], name)
            return
        if name in template.imports:
            self.program.imports[name] = template.imports[name]
            return
        if name in self.replaced and module != _replacement(name):
            self._replace(template, name)
            return
        definition = template.functions.get(name) or template.constants.get(name)
        if definition is None or self._origins.get(name) == module:
            return
        if name in self._origins:
            if not self._same(definition, self.template(self._origins[name]), name):
                raise ValueError(f"{name} is defined in {self._origins[name]} and in {module}")
            return
        self._origins[name] = module
        read_names = names_in(definition) if isinstance(definition, cst.FunctionDef) else set(names_read(definition[0]))
        for other in self._in_order(template, read_names - {name}):
            self.reach(module, other)
        if isinstance(definition, cst.FunctionDef):
            if template.docstring is not None and module in self.root_templates:
                self.program.about.setdefault(name, template.docstring)
                template.docstring = None
            self.program.functions[name] = definition
        else:
            self.program.constants[name] = definition

    def _replace(self, template: _Template, name: str) -> None:
        if name in self.taken:
            return
        self.taken.add(name)
        given = _template(_replacement(name), self.replaced[name])
        if name not in given.functions:
            raise ValueError(f"{given.name} does not define it")
        count, wanted = (len(t.functions[name].params.params) for t in (given, template))
        if count != wanted:
            raise ValueError(f"{given.name} takes {count} arguments, and its callers pass {wanted}")
        # All else that it reads is the template's.
        known = {*given.functions, *given.constants, *given.imports}
        given.imports |= template.imports
        given.siblings |= template.siblings | dict.fromkeys((*template.constants, *template.functions), template.name)
        given.siblings = {n: module for n, module in given.siblings.items() if n not in known}
        self._templates[given.name] = given
        self.reach(given.name, name)

    def _in_order(self, template: _Template, names: set[str]) -> list[str]:
        """The names that mean something in a template: what is imported first, each as it stands in its template."""
        found = [name for name in template.imports if name in names]
        for module in dict.fromkeys(template.siblings.values()):
            sibling = self.template(module)
            ours = {name for name, origin in template.siblings.items() if origin == module}
            found += [name for name in (*sibling.constants, *sibling.functions) if name in ours & names]
        return [*found, *(name for name in (*template.constants, *template.functions) if name in names)]

    def _same(self, definition: cst.FunctionDef | Constant, template: _Template, name: str) -> bool:
        """Replacements may bring what they share, each with the same text."""
        other = template.functions.get(name) or template.constants.get(name) or ()
        return _code(definition) == _code(other)


def _replacement(name: str) -> str:
    return f"what replaces {name}"


def _code(definition: cst.FunctionDef | Constant) -> str:
    nodes = definition if isinstance(definition, tuple) else (definition,)
    return "".join(cst.Module([]).code_for_node(node).strip() for node in nodes)


def _template(name: str, text: str) -> _Template:
    tree = cst.parse_module(text)
    docstring = tree.get_docstring()
    template = _Template(name, docstring)
    constant = ""
    for statement in tree.body[docstring is not None :]:
        match statement:
            case cst.SimpleStatementLine([cst.ImportFrom(module=cst.Name(value=sibling), relative=[_]) as line]):
                template.siblings |= dict.fromkeys(_bound(line, name), sibling)
            case cst.SimpleStatementLine([cst.Import() | cst.ImportFrom() as line]):
                template.imports |= dict.fromkeys(_bound(line, name), statement)
            case cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(value=constant))])]):
                template.constants[constant] = (statement,)
            case cst.SimpleStatementLine([cst.Expr(cst.SimpleString())]) if constant:
                template.constants[constant] += (statement,)
            case cst.FunctionDef(name=cst.Name(value=function)):
                _check_parameters(statement, name)
                template.functions[function] = statement
            case _:
                raise ValueError(f"{name}: a template holds imports, constants and functions")
    return template


def _check_parameters(function: cst.FunctionDef, template: str) -> None:
    p = function.params
    others = [*p.kwonly_params, *p.posonly_params, *(x.default for x in p.params if x.default is not None)]
    if others or isinstance(p.star_arg, cst.Param) or p.star_kwarg is not None:
        raise ValueError(f"{template}: parameters of {function.name.value} are positional and have no default")


def _bound(line: cst.Import | cst.ImportFrom, template: str) -> Iterator[str]:
    if isinstance(line.names, cst.ImportStar):
        raise ValueError(f"{template}: an import names what it brings")
    for alias in line.names:
        name = alias.asname.name if alias.asname is not None else alias.name
        yield cst.Module([]).code_for_node(name).split(".")[0]
