"""A spec compiled for something that runs it: what this version has not is refused before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..grammar import tree
from ..grammar.diagnostics import Diagnostic, SpecError
from ..grammar.source import Source
from ..runtime.errors import Refused
from .sources import WrongUse

if TYPE_CHECKING:
    from ..compiler.pipeline import Analysis, Artefact
    from ..runtime import Program

LATER = "not-in-this-version"
NEUTRAL = ("false", "auto", "none")


class NotInThisVersion(SpecError):
    """A spec without errors that asks for what this version has not; `diagnostics` are the notes about it."""

    def __init__(self, diagnostics: Sequence[Diagnostic], message: str, help: str) -> None:
        super().__init__(diagnostics)
        self.message = message
        self.help = help


def compile_to_run(
    source: Source,
    overrides: Sequence[str],
    recipe: str | None,
    *,
    allow_python: bool = False,
    kernels: str | None = None,
    tiles: Mapping[str, Any] = MappingProxyType({}),
) -> Artefact:
    """The artefact of a recipe (the last of the file, where none is named), with its warnings.

    `allow_python` runs the files with layers written in Python that the spec imports; `kernels` goes before the
    recipe's key of that name; `tiles` are tables of tiles by name, as `read_tiles` gives them.

    Raises SpecError where the spec has errors, NotInThisVersion where it asks for what is not there yet, Refused where
    it has no recipe and WrongUse where it has none of this name.
    """
    from ..compiler.pipeline import analyse, emit

    analysis = analyse(source, overrides, allow_python=allow_python)
    if analysis.failed or analysis.spec is None:
        raise SpecError(analysis.diagnostics)
    recipes = analysis.spec.scope.recipes
    name = recipe or next(reversed(recipes), None)
    if name is None:
        raise Refused(f"{source.name} has no `train` section", f"Write `train {_model(analysis)} {{ ... }}`.")
    if name not in recipes:
        raise WrongUse(f"{source.name} has no recipe {name}", f"there are: {', '.join(recipes)}")
    missing = missing_to_train(analysis, recipes[name])
    if missing:
        message = f"{source.name} cannot be trained by this version of dlspec: it asks for what is not there yet"
        raise NotInThisVersion(
            missing, message, _way_on(source, overrides, missing, recipes[name], allow_python=allow_python)
        )
    from .tiles import fitting_tiles

    with fitting_tiles():
        return emit(analysis, name, kernels, tiles)


def missing_to_train(analysis: Analysis, recipe: tree.Train) -> list[Diagnostic]:
    """The notes about what a recipe asks for and this version has not."""
    return [d for d in analysis.diagnostics if d.code == LATER and _concerns(d, recipe, analysis.file)]


def program_of(artefact: Artefact) -> Program:
    """An artefact as something that runs."""
    from ..runtime import Program

    assert artefact.recipe_code is not None and artefact.settings is not None
    return Program(artefact.name, artefact.model_code, artefact.recipe_code, artefact.settings, artefact.imported)


def _model(analysis: Analysis) -> str:
    assert analysis.spec is not None
    return next(reversed(analysis.spec.scope.models), "Name")


def _concerns(diagnostic: Diagnostic, recipe: tree.Train, file: tree.File) -> bool:
    """Whether a note is about the recipe or the model, and not about exports or other recipes."""
    others = [i for i in file.items if isinstance(i, tree.Export | tree.Train) and i is not recipe]
    span = diagnostic.span
    return not any(o.span.source is span.source and o.span.start <= span.start < o.span.end for o in others)


def _way_on(
    source: Source,
    overrides: Sequence[str],
    missing: Sequence[Diagnostic],
    recipe: tree.Train,
    *,
    allow_python: bool,
) -> str:
    """What to type to go on without: only what was tried and helps."""
    found: list[str] = []
    for diagnostic in missing:
        key = _key_at(diagnostic, recipe)
        tries = [f"train.{key}={value}" for value in NEUTRAL] if key else []
        cured = (_cures(source, [*overrides, text], diagnostic, allow_python=allow_python) for text in tries)
        works = next((text for text, cures in zip(tries, cured, strict=True) if cures), None)
        if works is None:
            return "Take it out of the spec, or use a version of dlspec that has it."
        if works not in found:
            found.append(works)
    return f"Go on without it: {' '.join(f'--set {text}' for text in found)}"


def _key_at(diagnostic: Diagnostic, recipe: tree.Train) -> str | None:
    for line in recipe.body.lines:
        if isinstance(line, tree.Binding) and line.span.start <= diagnostic.span.start < line.span.end:
            return line.name.text
    return None


def _cures(source: Source, overrides: Sequence[str], diagnostic: Diagnostic, *, allow_python: bool) -> bool:
    from ..compiler.pipeline import analyse

    analysis = analyse(source, overrides, allow_python=allow_python)
    return not analysis.failed and all(d.message != diagnostic.message for d in analysis.diagnostics)
