"""A graph as a file of PyTorch: `<spec>.py`."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from ...ir.beside import files_beside, python_layers
from ...ir.graph import Copies, Experts, Graph, Unit, UnitModule
from .classes import write_class
from .construct import ClassText
from .experts import balance_of
from .file import FileText
from .initial import Scheme
from .names import class_name, free_class, variables_of
from .views import Views

if TYPE_CHECKING:
    from ..triton.file import KernelFile


def emit_module(
    graph: Graph,
    source_name: str,
    scheme: Scheme = Scheme(),  # noqa: B008
    *,
    exporting: bool = False,
    kernels: KernelFile | None = None,
    views: Views = MappingProxyType({}),
) -> str:
    """The model as readable, standalone PyTorch. Raises nothing: a graph that was built can be emitted.

    `source_name` is the spec's file name, for the docstrings; `exporting` gives the form that TorchScript scripts.
    With `kernels` the model calls those where there are some, and they are written there. `views` are methods that give
    some of the outputs.
    """
    units = _units(graph.model)
    file = FileText(
        source_name,
        graph.constants,
        scheme,
        exporting=exporting,
        kernels=kernels,
        views=views,
        balance=None if exporting else balance_of(graph.model, views),
        variables=variables_of(units),
    )
    written: dict[Unit, ClassText] = {}
    classes: list[str] = []
    # The names that blocks and models have in the spec are theirs; what is named after a label makes way.
    file.classes |= {u.name for u in units if u.kind in ("model", "block")}
    file.classes |= {layer.word for layer in python_layers(graph)}
    owners: dict[str, str] = {}
    for group in _groups(units):
        _write_group(group, written, classes, file, graph, owners)
    model = graph.model.name
    beside = [*files_beside(graph), *([kernels.name] if kernels is not None and not kernels.empty else [])]
    needed = " and ".join(beside) or "nothing else"
    doc = f"{model}, from {source_name}. It needs PyTorch and {needed}; it is yours to keep and change."
    return file.text(doc, classes)


def _units(model: Unit) -> list[Unit]:
    """Every unit once, those inside before those around them, in the order of the page."""
    found: dict[int, Unit] = {}

    def walk(unit: Unit) -> None:
        for module in unit.modules:
            match module:
                case UnitModule(unit=inner):
                    walk(inner)
                case Copies(units=units) | Experts(units=units):
                    for inner in dict.fromkeys(units):
                        walk(inner)
        found.setdefault(id(unit), unit)

    walk(model)
    return list(found.values())


Place: TypeAlias = "tuple[str, str, int]"


def _groups(units: list[Unit]) -> list[list[Unit]]:
    """Units that were written at one place, together where the last of them can be written.

    Places that hold each other (a block that is handed itself: `Twice(Twice(Linear(8)))`) are parted by how deep their
    units are nested, so that every class stands below those it makes.
    """
    inside = {id(unit): [u for u in _units(unit) if u is not unit] for unit in units}
    circular = _circular(units, inside)
    depth: dict[int, int] = {}
    for unit in units:  # those inside come first
        nested = max((depth[id(inner)] for inner in inside[id(unit)]), default=0)
        depth[id(unit)] = nested + (_place(unit) in circular)
    by_place: dict[tuple[Place, int], list[Unit]] = {}

    def key(unit: Unit) -> tuple[Place, int]:
        return _place(unit), depth[id(unit)] if _place(unit) in circular else 0

    for unit in units:
        by_place.setdefault(key(unit), []).append(unit)
    order: list[list[Unit]] = []
    done: set[int] = set()

    def place(group: list[Unit]) -> None:
        if id(group) in done:
            return
        done.add(id(group))
        for unit in group:
            for inner in inside[id(unit)]:
                place(by_place[key(inner)])
        order.append(group)

    for unit in units:
        place(by_place[key(unit)])
    return order


def _place(unit: Unit) -> Place:
    return unit.kind, unit.name, unit.span.start


def _circular(units: list[Unit], inside: dict[int, list[Unit]]) -> set[Place]:
    """The places whose units hold, somewhere inside, units of the same place."""
    holds: dict[Place, set[Place]] = {}
    for unit in units:
        holds.setdefault(_place(unit), set()).update(map(_place, inside[id(unit)]))
    for middle in holds:
        for held in holds.values():
            if middle in held:
                held |= holds[middle]
    return {place for place, held in holds.items() if place in held}


def _write_group(
    group: list[Unit],
    written: dict[Unit, ClassText],
    classes: list[str],
    file: FileText,
    graph: Graph,
    owners: dict[str, str],
) -> None:
    """Write the classes of units that came from one place: one class for all whose text is the same."""
    wanted = class_name(group[0])
    doc = _doc(group[0], graph)

    def texts(*, dims: bool) -> list[ClassText]:
        return [write_class(u, "_NAME_", written, file, doc, dims_as_arguments=dims) for u in group]

    found = texts(dims=False)
    variants = len({t.source for t in found})
    if variants > 1:
        # With the input's dims as arguments one class may do for several uses.
        general = texts(dims=True)
        found = general if len({t.source for t in general}) < variants else found
    names: dict[str, str] = {}
    for unit, text in zip(group, found, strict=True):
        if text.source not in names:
            own = unit.kind in ("model", "block") and wanted not in owners
            name = wanted if own else free_class(wanted, file.classes)
            owners.setdefault(name, text.source)
            file.classes.add(name)
            names[text.source] = name
            classes.append(text.source.replace("_NAME_", name, 1))
        written[unit] = ClassText(names[text.source], text.source, text.arguments, text.takes_config, text.initialises)


def _doc(unit: Unit, graph: Graph) -> str:
    match unit.kind:
        case "model":
            return f"{graph.doc}; with {unit.optional[0].name}, the loss" if unit.optional else graph.doc
        case "copy":
            return f"One of {graph.model.name}.{unit.name}." if _is_direct(unit, graph) else f"One of `{unit.name}`."
        case "group":
            return f"The part `{unit.name}`."
    return ""


def _is_direct(unit: Unit, graph: Graph) -> bool:
    return any(isinstance(m, Copies) and unit in m.units for m in graph.model.modules)
