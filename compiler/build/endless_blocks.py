"""Blocks that contain themselves: their text has no end, so neither they nor what places them can be built."""

from __future__ import annotations

from collections.abc import Container, Iterator

from ...grammar import tree
from ..semantics.report import Report, Unheard
from ..semantics.resolve import FileScope


def report_endless(file: FileScope, report: Report) -> None:
    """Report the blocks whose text leads back to itself. A block handed over as a parameter is no circle."""
    if file.endless is None:  # every model of the file asks
        found = Report()
        file.endless = _circles(file, found)
        file.circles = tuple(found.diagnostics)
    for circle in file.circles:
        report.add(circle)


def leads_to_endless(unit: tree.Block | tree.Model, file: FileScope) -> bool:
    """Whether what a block or model places may be such a block."""
    report_endless(file, Unheard())
    if not file.endless:
        return False
    # The `default` lines of all files may place blocks wherever their layers stand.
    scopes, left = [file], list[tree.Node]([unit])
    for scope in scopes:
        left += scope.defaults
        scopes += [one for one in scope.imported if one not in scopes]
    named: dict[str, tree.Node] = {**file.blocks, **file.models}
    for scope in scopes:
        named |= scope.constants
    seen: set[str] = set()
    while left:
        words = {node.parts[0] for node in tree.walk(left.pop()) if isinstance(node, tree.Path)}
        if not file.endless.isdisjoint(words):
            return True
        new = (words & named.keys()) - seen
        seen |= new
        left += [named[name] for name in new]
    return False


def _circles(file: FileScope, report: Report) -> frozenset[str]:
    """The names in all circles, each reported where it leads back."""
    units = {**file.blocks, **file.models}
    calls = {name: _calls(unit, units) for name, unit in units.items()}
    done: set[str] = set()
    endless: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        for called, place in calls[name].items():
            if called in way:
                circle = [*way[way.index(called) :], called]
                endless.update(circle)
                message = f"this block contains itself: {' -> '.join(circle)}"
                help = "`repeat` makes copies, `share` runs one again"
                report.error("endless-block", message, place.span, "leads back here", help=help)
            elif called not in done:
                walk(called, (*way, called))
        done.add(name)

    for name in calls:
        walk(name, (name,))
    return frozenset(endless)


def _calls(block: tree.Block | tree.Model, known: Container[str]) -> dict[str, tree.Path]:
    # A dim or a parameter of that name is meant, not the block or model.
    given = (block.params or ()) if isinstance(block, tree.Block) else ()
    params = {param.name.text for param in given} | set(_dims(block))
    found: dict[str, tree.Path] = {}

    def walk(node: object) -> None:
        if isinstance(node, tree.Stage) and node.path.parts[0] in known and node.path.parts[0] not in params:
            found.setdefault(node.path.parts[0], node.path)
        if isinstance(node, tree.Node):
            for name in node.__dataclass_fields__:
                if name != "span":
                    walk(getattr(node, name))
        elif isinstance(node, tuple):
            for item in node:
                walk(item)

    for param in given:
        walk(param.default)
    walk(block.body)
    return found


def _dims(block: tree.Block | tree.Model) -> Iterator[str]:
    """The Capital names that the inputs give to dims."""
    for port in block.signature.inputs if block.signature else ():
        for node in tree.walk(port.shape):
            if isinstance(node, tree.Path) and node.parts[0][:1].isupper():
                yield node.parts[0]
