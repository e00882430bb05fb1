"""A file's own names: constants with their values, functions, defaults, blocks, models, recipes and exports."""

from __future__ import annotations

import keyword
import os
import re
import sys
from collections import ChainMap
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.frozen import Frozen
from ...grammar.source import Source, Span
from .evaluate import FAULT, NONE, evaluate, is_number
from .imports import Imported, all_imported
from .language import RESERVED, is_library
from .number import Reference
from .report import Report

if TYPE_CHECKING:
    from ..layers.base import Layer
    from ..scalars import Functions


@dataclass(eq=False)
class FileScope:
    """The constants of a file, worked out when first asked for, in any order. Also says what else has a name."""

    file: tree.File
    report: Report
    constants: dict[str, tree.Constant] = field(default_factory=dict)
    functions: dict[str, tree.Function] = field(default_factory=dict)
    blocks: dict[str, tree.Block] = field(default_factory=dict)
    models: dict[str, tree.Model] = field(default_factory=dict)
    recipes: dict[str, tree.Train] = field(default_factory=dict)
    exports: dict[str, tree.Export] = field(default_factory=dict)
    defaults: list[tree.Default] = field(default_factory=list)
    layers: dict[str, type[Layer]] = field(default_factory=dict)
    """Those that are written in Python."""
    ruleless: dict[str, Span] = field(default_factory=dict)
    """Classes of Python that are none, for they have no shape rule."""
    models_elsewhere: dict[str, tree.Model] = field(default_factory=dict)
    """Models of the imported files, which an import does not bring."""
    owners: dict[str, FileScope] = field(default_factory=dict)
    """Of the names that were brought in by `import`: the file that has them."""
    imported: list[FileScope] = field(default_factory=list)
    """The files that are imported, in the order of the `import` lines."""
    endless: frozenset[str] | None = None
    """The names of the blocks that lead back to themselves, where they were looked for."""
    circles: tuple[Diagnostic, ...] = ()
    """What is said of them."""
    _values: dict[str, Any] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def find(self, name: str) -> object | None:
        if name in self._values:
            return self._values[name]
        constant = self.constants.get(name)
        if constant is None:
            return FAULT if name == tree.UNREAD else None
        if name in self.owners:
            return self.owners[name].find(name)
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            message, help = f"`{name}` is computed from itself: {circle}", "write one of them as a number"
            self.report.error("circular-constant", message, constant.span, "here", help=help)
            return FAULT
        self._open.append(name)
        value = evaluate(constant.value, self, self.report)
        self._open.pop()
        if is_number(value):
            value = Reference(name, "constant", None, value)
        self._values[name] = NONE if value is None else value
        return self._values[name]

    def give_up(self) -> None:
        """Take the constants that could not be followed to their ends for faults that were reported."""
        self._values.update(dict.fromkeys(self._open, FAULT))
        self._open.clear()

    @cached_property
    def scalars(self) -> Functions:
        """The file's own functions, read when they are asked for."""
        from ..scalars import Functions  # most files have none

        own = {name: item for name, item in self.functions.items() if name not in self.owners}
        brought = {name: self.owners[name].scalars.find(name) for name in self.functions if name in self.owners}
        return Functions(own, self, self.report, {name: found for name, found in brought.items() if found is not None})

    def owner(self, name: str) -> FileScope:
        """The file that a block or function was written in."""
        return self.owners.get(name, self)

    def layer(self, word: str) -> type[Layer] | None:
        """A layer or function by its name: of the language, or one that is written in Python."""
        from ..layers import registry  # layers stand on the numbers and types that are worked out here

        return self.layers.get(word) or registry.find(word)

    def names(self) -> Iterable[str]:
        # One that is being worked out is no name for its own value.
        return [name for name in self.constants if name not in self._open] if self._open else self.constants.keys()

    def flows(self) -> Container[str]:
        return ChainMap[str, Any](self.blocks, self.models, self.functions, self.layers)

    def brings(self) -> Iterable[str]:
        """The names that a file gets which imports this one."""
        return ChainMap[str, Any](self.constants, self.functions, self.blocks, self.layers)

    def numbers(self) -> tuple[Reference, ...]:
        """The constants that are numbers, in the order of the file."""
        found = [self.find(name) for name in self.constants]
        return tuple(value for value in found if isinstance(value, Reference))


class Spec(Frozen):
    """A file whose names are known. `name` is its stem: the emitted files are called after it."""

    source: Source
    file: tree.File
    scope: FileScope

    @property
    def name(self) -> str:
        return os.path.basename(self.source.name).removesuffix(".dlspec")


def resolve(source: Source, file: tree.File, report: Report, imports: tuple[Imported, ...] = ()) -> Spec:
    """Enter every item of the file and of those it imports under its name; each name stands for one thing."""
    scope = _scope(file, report, imports, {})
    for section, items in (("train", scope.recipes), ("export", scope.exports)):
        for item in items.values():
            if item.model.text not in scope.models:
                where = f" in this file to {section}"
                report.unknown("model", item.model.text, item.model.span, scope.models, where=where, imported=False)
    if not scope.models and not scope.blocks and not report.failed:
        end = source.span(len(source.text), len(source.text))
        report.error(
            "no-model", "this file has no model", end, "the file ends here", help="write `model Name: ... { }`"
        )
    _check_stem(source, report)
    _check_python_stems(source, imports, report)
    return Spec(source, file, scope)


def _scope(file: tree.File, report: Report, imports: tuple[Imported, ...], known: dict[int, FileScope]) -> FileScope:
    """The names of one file. A file that several import has one scope: `known` has those made before."""
    scope = FileScope(file, report)
    taken: dict[str, Span] = {}
    for imported in imports:
        if id(imported) not in known:
            known[id(imported)] = _scope(imported.file, report, imported.imports, known)
        other = known[id(imported)]
        scope.ruleless |= imported.ruleless
        scope.models_elsewhere |= other.models
        for name, kind in imported.layers.items():
            if not _is_taken(name, imported.place.what.span, report):
                other.layers[name] = kind
        scope.imported.append(other)
        _bring(scope, other, imported.place, taken, report)
    for item in file.items:
        match item:
            case tree.Constant(name=name):
                _enter(scope.constants, name, item, taken, report)
            case tree.Function(name=name):
                _enter(scope.functions, name, item, taken, report)
            case tree.Default():
                scope.defaults.append(item)
            case tree.Block(name=name):
                _enter(scope.blocks, name, item, taken, report)
                _is_taken(name.text, name.span, report)
            case tree.Model(name=name):
                _enter(scope.models, name, item, taken, report)
                _is_taken(name.text, name.span, report)
            case tree.Train(model=model, recipe=recipe):
                _recipe(scope.recipes, recipe or model, item, report)
            case tree.Export(model=model):
                _recipe(scope.exports, model, item, report)
    told = False
    for name, constant in scope.constants.items():
        try:
            scope.find(name)
        except RecursionError:
            if not told:  # the next one may be a part of the same chain
                report.too_deep(constant.name.span, "computed from such names")
            scope.give_up()
            told = True
    return scope


def _bring(scope: FileScope, other: FileScope, place: tree.Import, taken: dict[str, Span], report: Report) -> None:
    """Enter the blocks, functions and constants of another file, and what that has from others."""
    tables: list[tuple[dict[str, Any], Mapping[str, Any]]] = [
        (scope.constants, other.constants),
        (scope.functions, other.functions),
        (scope.blocks, other.blocks),
        (scope.layers, other.layers),
    ]
    for own, theirs in tables:
        for name, item in theirs.items():
            owner = other.owner(name)
            if scope.owners.get(name) is owner:
                continue  # two files bring one and the same
            if name in taken:
                report.error(
                    "repeated-name",
                    f"`{name}` comes from two of the imported files",
                    place.span,
                    f"brings `{name}` again",
                    labels=((taken[name], "brings it first"),),
                    help="each name stands for one thing: rename it in one of the files",
                )
                continue
            taken[name] = place.span
            own[name] = item
            scope.owners[name] = owner


# Beside a file of such a name, Python would import it for the module that it hides.
_HIDDEN = (frozenset(sys.stdlib_module_names) - {"test", "this", "idlelib", "antigravity"}) | {
    "torch",
    "numpy",
    "triton",
}


def _check_stem(source: Source, report: Report) -> None:
    """The emitted files are called after the spec, so its name must be one that Python can import."""
    stem = os.path.basename(source.name).removesuffix(".dlspec")
    unfit = None if source.name.startswith("<") else _unfit_stem(stem, "model", "spec")
    if unfit is None:
        return
    what, other = unfit
    start = source.span(0, 0)
    report.error(
        "file-name",
        f"the emitted files are called after this one, and `{stem}` is {what}",
        start,
        f"in {os.path.basename(source.name)}",
        help=f"call the file `{other}.dlspec`",
    )


def _unfit_stem(stem: str, behind: str, before: str) -> tuple[str, str] | None:
    """Why Python cannot import a file of that name, and another name; None where it can."""
    if keyword.iskeyword(stem):
        return "a word of Python", f"{stem}_{behind}"
    if stem in _HIDDEN:
        return "a module that Python programs import", f"{stem}_{behind}"
    if not stem.isidentifier():
        plain = re.sub(r"\W+", "_", stem).strip("_")
        return "no name that Python can import", plain if plain.isidentifier() else f"{before}_{plain}".rstrip("_")
    return None


def _check_python_stems(source: Source, imports: tuple[Imported, ...], report: Report) -> None:
    """Emitted code imports the files with layers by their names, from where it lies itself."""
    spec = os.path.basename(source.name).removesuffix(".dlspec")
    emitted = {spec: "the emitted model", f"{spec}_recipe": "the emitted recipe"}
    for imported in all_imported(imports):
        file = os.path.basename(imported.source.name)
        stem = file.removesuffix(".py")
        if file == stem:
            continue
        unfit = _unfit_stem(stem, "layers", "layers")
        if unfit is None and stem in emitted:
            unfit = f"the name of {emitted[stem]}", f"{stem}_layers"
        emitted[stem] = f"another file, {imported.source.name}"
        if unfit is not None:
            what, other = unfit
            report.error(
                "file-name",
                f"emitted code imports {file} by its name, and `{stem}` is {what}",
                imported.place.what.span,
                "imported here",
                help=f"call the file `{other}.py`",
            )


def _enter(table: dict[str, Any], name: tree.Name, item: tree.Item, taken: dict[str, Span], report: Report) -> None:
    if name.text in RESERVED:
        return
    before = taken.get(name.text)
    if before is not None:
        report.error(
            "repeated-name",
            f"`{name.text}` is given twice in this file",
            name.span,
            "given again here",
            labels=((before, "given here first"),),
            help="each name stands for one thing: give one of them another name",
        )
        return
    taken[name.text] = name.span
    table[name.text] = item


def _recipe(table: dict[str, Any], name: tree.Name, item: tree.Train | tree.Export, report: Report) -> None:
    if name.text not in table:
        table[name.text] = item
        return
    train = isinstance(item, tree.Train)
    report.error(
        "repeated-name",
        f"there are two {'recipes' if train else 'exports'} called `{name.text}`",
        name.span,
        "again here",
        labels=((table[name.text].span, "first here"),),
        help=f"`train {item.model.text} as another_name {{ ... }}` makes a second recipe" if train else "join the two",
    )


def _is_taken(name: str, place: Span, report: Report) -> bool:
    """Whether a name is a layer's of the language (reported)."""
    found = is_library(name)
    if found:
        report.error(
            "taken-name",
            f"`{name}` is a layer of the language",
            place,
            "cannot be given to another layer, a block or a model",
            help=f"call it `My{name}`, or after what it does",
        )
    return found


def first_model(spec: Spec, wanted: Sequence[str] = ()) -> tree.Model | None:
    """The model that a file is about: the one asked for, else the one of its last recipe, else its last."""
    for name in wanted:
        if name in spec.scope.models:
            return spec.scope.models[name]
    for recipe in reversed(spec.scope.recipes.values()):
        if recipe.model.text in spec.scope.models:
            return spec.scope.models[recipe.model.text]
    return next(reversed(spec.scope.models.values()), None)
