"""Models that stand inside the one that was trained, and are exported by their own names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..runtime.errors import Refused

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph, Unit
    from ..compiler.pipeline import Analysis, Artefact
    from ..runtime.metadata import Metadata


@dataclass(frozen=True)
class Inner:
    """One of them as it is exported: `path` is where it stands in the trained model and its checkpoint."""

    path: str
    artefact: Artefact
    metadata: Metadata


def inner_models(graph: Graph, analysis: Analysis) -> dict[str, list[str]]:
    """The models inside a model by name, with the paths of all that have weights of their own."""
    found: dict[str, list[str]] = {}
    for name, path in _inside(graph.model, ""):
        if name in analysis.graphs:
            found.setdefault(name, []).append(path)
    return found


def open_inner(name: str, around: Metadata, graph: Graph, analysis: Analysis) -> Inner:
    """The model `name` inside that of `graph`, which says `around` about itself. Raises Refused where several of it
    have weights of their own."""
    from ..compiler.pipeline import emit_alone
    from ..compiler.training.settings import model_settings
    from ..runtime.settings import read_port

    paths = inner_models(graph, analysis)[name]
    if len(paths) > 1:
        listed = ", ".join(f"`{path}`" for path in paths)
        raise Refused(
            f"{name} stands {len(paths)} times in {graph.model.name}, each with weights of its own: {listed}",
            f"Export {graph.model.name}, or write a model for each.",
        )
    artefact = emit_alone(analysis, name)
    said = model_settings(artefact.graph, 0)
    metadata = replace(
        around,
        inputs=tuple(map(read_port, said["inputs"])),
        outputs=tuple(map(read_port, said["outputs"])),
        limits=said["limits"],
        least=said["least"],
        classes={},
    )
    return Inner(paths[0], artefact, metadata)


def _inside(unit: Unit, prefix: str) -> Iterator[tuple[str, str]]:
    """Blocks, and models that stand like blocks: the name of each, and where it is."""
    from ..compiler.ir.graph import Copies, UnitModule

    for module in unit.modules:
        match module:
            case UnitModule(name=name, unit=inner):
                if inner.kind == "block":
                    yield inner.name, f"{prefix}{name}"
                yield from _inside(inner, f"{prefix}{name}.")
            case Copies(name=name, units=units):
                for i, inner in enumerate(units):
                    yield from _inside(inner, f"{prefix}{name}.{i}.")
