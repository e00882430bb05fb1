"""What changed in meaning between two specs.

Both are compared as the compiler understands them: layout, comments, the order of independent items and names that lead
nowhere make no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...grammar import tree
from ..backends.plan import layers_together
from ..depth import room_for_depth
from ..ir.beside import files_beside
from ..ir.graph import Graph
from ..ir.weights import parameter_count
from ..pipeline import Analysis
from ..semantics.number import Reference
from ..semantics.resolve import Spec
from .change import Change, together, turned
from .checkpoint import Fit, fit
from .models import compare_models
from .recipes import compare_exports, compare_recipes
from .values import as_written, meaning, number_text, shown

__all__ = ["Change", "Difference", "Fit", "ModelPair", "compare"]


@dataclass(frozen=True)
class ModelPair:
    """A model that both have. FLOPs are those of one example's forward pass."""

    name: str
    parameters: tuple[int, int]
    flops: tuple[int, int]
    fit: Fit


@dataclass(frozen=True)
class Difference:
    """`changes` with causes first: constants, then ports and models, then how they learn and what is shipped."""

    changes: tuple[Change, ...]
    models: tuple[ModelPair, ...]

    @property
    def equal(self) -> bool:
        return not self.changes


@room_for_depth()
def compare(a: Analysis, b: Analysis, recipes: tuple[str | None, str | None] = (None, None)) -> Difference:
    """Everything that differs in meaning between two specs without errors.

    `recipes` names for each the one that it was trained by, where it is the spec of a run: the others of a spec are not
    compared then.
    """
    assert a.spec is not None and b.spec is not None
    models: list[ModelPair] = []
    found: list[Change] = []
    for one, other in _pairs(a.spec, b.spec):
        before, after = (s.graphs.get(name) if name else None for s, name in ((a, one), (b, other)))
        if one is None or other is None:
            word = "added" if one is None else "removed"
            name = one or other or ""
            found.append(Change("model", name, "", word, one, other, f"model {word}"))
        elif before is None or after is None:
            text = "not compared: it asks for what is not in this version"
            found.append(Change("model", other, "", "not-compared", None, None, text))
        else:
            found += _python(before, after)
            found += compare_models(before, after)
            models.append(_pair(before, after))
    found += _recipes(a, b, recipes)
    found += _exports(a, b)
    changes = together(found)
    if changes:
        changes = [*_constants(a.spec, b.spec), *changes]
    return Difference(tuple(changes), tuple(models))


def _pairs(a: Spec, b: Spec) -> Iterator[tuple[str | None, str | None]]:
    """Models of the same name; where each has one model, these two."""
    one, other = list(a.scope.models), list(b.scope.models)
    if len(one) == len(other) == 1:
        yield one[0], other[0]
        return
    yield from ((name, name if name in other else None) for name in one)
    yield from ((None, name) for name in other if name not in one)


def _pair(a: Graph, b: Graph) -> ModelPair:
    return ModelPair(b.model.name, (parameter_count(a), parameter_count(b)), (_flops(a), _flops(b)), fit(a, b))


def _python(a: Graph, b: Graph) -> Iterator[Change]:
    """Files with layers written in Python that both use, and that are not the same text: what it means is not known."""
    before, after = files_beside(a), files_beside(b)
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            text = "its layers are written otherwise"
            yield Change("model", b.model.name, name, "function", None, None, text)


def _flops(graph: Graph) -> int:
    return sum(layer.flops for layer in layers_together(graph))


def _constants(a: Spec, b: Spec) -> Iterator[Change]:
    """Constants of one name with other values; those that follow from others are left out."""
    for name in a.scope.constants:
        if name not in b.scope.constants:
            continue
        before, after = a.scope.find(name), b.scope.find(name)
        if isinstance(before, Reference) and isinstance(after, Reference):
            before, after = before.target or before, after.target or after
        if meaning(before) == meaning(after):
            continue
        numbers = not isinstance(before, Reference) and hasattr(before, "open") and hasattr(after, "open")
        follows = as_written(before) == as_written(after)
        one, other = (number_text(v) if numbers else shown(v) for v in (before, after))  # type: ignore[arg-type]
        yield turned("constants", "", name, "value", one, other, follows)


def _recipes(a: Analysis, b: Analysis, trained: tuple[str | None, str | None]) -> Iterator[Change]:
    assert a.spec is not None and b.spec is not None
    one, other = (_trained_by(*side) for side in zip((a.spec, b.spec), trained, reversed(trained), strict=True))
    pairs: list[tuple[str | None, str | None]] = [(name, name if name in other else None) for name in one]
    pairs += [(None, name) for name in other if name not in one]
    if len(one) == len(other) == 1:
        pairs = [(next(iter(one)), next(iter(other)))]
    for before, after in pairs:
        if before is None or after is None:
            word = "added" if before is None else "removed"
            yield Change("train", before or after or "", "", word, before, after, f"recipe {word}")
        else:
            sections = one[before], other[after]
            if before != after and not all(s.recipe is None for s in sections):
                yield turned("train", after, "", "name", before, after)
            yield from compare_recipes(after, a.plans[before], b.plans[after], sections)


def _trained_by(spec: Spec, recipe: str | None, of_other: str | None) -> dict[str, tree.Train]:
    """The recipes of a spec that are compared: of a run its own, beside a run the one of that name if there is one."""
    all_ = spec.scope.recipes
    wanted = recipe or of_other
    return {wanted: all_[wanted]} if wanted in all_ else all_


def _exports(a: Analysis, b: Analysis) -> Iterator[Change]:
    assert a.spec is not None and b.spec is not None
    one, other = a.spec.scope.exports, b.spec.scope.exports
    if len(one) == len(other) == 1:
        (before,), (after,) = one, other
        yield from compare_exports(after, a.exports.get(before), b.exports.get(after), (one[before], other[after]))
        return
    for name in [*one, *(name for name in other if name not in one)]:
        if name in one and name in other:
            sections = one[name], other[name]
            yield from compare_exports(name, a.exports.get(name), b.exports.get(name), sections)
        else:
            word = "removed" if name in one else "added"
            yield Change("export", name, "", word, None, None, f"export {word}")
