"""Stages of the compiler as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..grammar import tree

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph
    from ..compiler.pipeline import Analysis
    from ..compiler.training.plan import TrainPlan


def tree_text(file: tree.File) -> str:
    """The syntax tree after `--set`: a node a line, with its place and its plain fields."""
    return "\n".join(_nodes(file))


def _nodes(root: tree.Node) -> Iterator[str]:
    todo: list[tuple[tree.Node, int, str]] = [(root, 0, "")]
    while todo:
        node, depth, role = todo.pop()
        plain: list[str] = []
        inside: list[tuple[tree.Node, int, str]] = []
        for name in node.__match_args__:
            value = getattr(node, name)
            if value is None:
                continue
            if isinstance(value, tree.Node):
                inside.append((value, depth + 1, name))
            elif isinstance(value, tuple) and any(isinstance(part, tree.Node) for part in value):
                inside += [(part, depth + 1, name) for part in value if isinstance(part, tree.Node)]
            elif value != ():
                plain.append(f" {'.'.join(value) if isinstance(value, tuple) else repr(value)}")
        place = f"{node.span.line}:{node.span.column}"
        label = f"{role}: " if role else ""
        yield f"{'  ' * depth}{label}{type(node).__name__}{''.join(plain)}  @{place}"
        todo += reversed(inside)


def resolved_text(analysis: Analysis) -> str:
    """Constants with their values, and what has a name."""
    from ..compiler.semantics.arithmetic import spell
    from ..compiler.semantics.evaluate import NONE, Recipe
    from ..compiler.semantics.number import Reference, written

    spec = analysis.spec
    assert spec is not None
    lines: list[str] = []
    for name in spec.scope.constants:
        value = spec.scope.find(name)
        if isinstance(value, Reference) and value.target is not None and value.value is not None:
            formula, plain = written(value.target), spell(value.value)
            lines.append(f"{name} = {plain}" if formula.replace("_", "") == plain else f"{name} = {formula} = {plain}")
        elif isinstance(value, Recipe):
            lines.append(f"{name} = a recipe: {' '.join(value.flow.span.text.split())}")
        else:
            lines.append(f"{name} = {'none' if value is NONE else value!r}")
    lines += [f"default {' '.join(d.stage.span.text.split())}" for d in spec.scope.defaults]
    for what, names in (("block", spec.scope.blocks), ("model", spec.scope.models)):
        lines += [f"{what} {name}" for name in names]
    for name, recipe in spec.scope.recipes.items():
        lines.append(f"train {recipe.model}" if name == recipe.model.text else f"train {recipe.model} as {name}")
    lines += [f"export {name}" for name in spec.scope.exports]
    return "\n".join(lines)


def built_text(analysis: Analysis, model: str) -> str:
    """A model's graph before any pass."""
    from ..compiler.build.model import build_model
    from ..compiler.ir.text import graph_text
    from ..compiler.semantics.report import Report

    spec = analysis.spec
    assert spec is not None
    graph = build_model(spec, spec.scope.models[model], Report()).graph
    assert graph is not None
    return graph_text(graph)


def module_text(analysis: Analysis, graph: Graph, recipe: TrainPlan | None) -> str:
    """The emitted model, with the initial weights of a recipe that runs."""
    from ..compiler.backends.pytorch.initial import Scheme
    from ..compiler.backends.pytorch.module import emit_module

    spec = analysis.spec
    assert spec is not None
    source_name = f"{spec.name}.dlspec"
    scheme = recipe.scheme if recipe is not None and recipe.runs else Scheme()
    return emit_module(graph, source_name, scheme).rstrip("\n")


def kernels_text(analysis: Analysis, graph: Graph, recipe: TrainPlan | None) -> str | None:
    """The file of kernels that `emit --kernels triton` writes; None where that is another model's."""
    from ..compiler.pipeline import emit

    artefact = emit(analysis, None if recipe is None else recipe.recipe, "triton")
    if artefact.graph is not graph:
        return None
    text = "".join(artefact.kernels.values()).rstrip("\n")
    return text or f"{graph.model.name} has no part with kernels of its own."
