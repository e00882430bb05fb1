"""Where a residual has its norms, and what else it says: the words of `residual(pre =, out =, post =, ...)`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..ir.graph import Apply, Node, Residual, Unit, regions
from .values import shown

ENDING = "norm"
BEHIND = ("drop", "drop_path", "gain", "layer_scale")
"""How modules are called that a residual puts behind its body and its `out`."""


@dataclass(frozen=True)
class Placement:
    """`label` is what the body is called; `norms` says what stands before it, behind it and after the sum."""

    label: str
    norms: Mapping[str, str]
    others: Mapping[str, str]

    @property
    def words(self) -> str:
        """`pre norm`, `pre and out norm`, `no norm`."""
        return f"{' and '.join(self.norms) or 'no'} norm"


def residuals(unit: Unit) -> list[tuple[Placement, frozenset[str]]]:
    """The residuals of a unit in the order of the page, each with the names of the norms it placed."""
    return [_placement(node.op) for node in every_node(unit.nodes) if isinstance(node.op, Residual)]


def every_node(nodes: tuple[Node, ...]) -> Iterator[Node]:
    """The nodes of a unit, and those in its regions where they stand."""
    for node in nodes:
        yield node
        for region in regions(node.op):
            yield from every_node(region.nodes)


def _placement(op: Residual) -> tuple[Placement, frozenset[str]]:
    nodes = list(op.branch.nodes)
    norms: dict[str, str] = {}
    names: set[str] = set()
    body = [node for node in nodes if not (node.module or "").endswith(BEHIND)]
    if len(body) > 1 and _is_norm(body[0]):
        norms["pre"] = _word(body[0])
        names.add(body[0].module or "")
    if len(body) > 1 + len(norms) and _is_norm(body[-1]):
        norms["out"] = _word(body[-1])
        names.add(body[-1].module or "")
    if op.after is not None:
        for node in op.after.nodes:
            norms["post"] = _word(node)
            names.add(node.module or "")
    label = next((n.module for n in nodes if n.module and n.module not in names), "") or ""
    figures = {"scale": op.scale, "shrink": op.shrink}
    others = {name: shown(n) for name, n in figures.items() if n is not None}
    others |= {name: "a flow" for name, region in (("skip", op.skip), ("gate", op.gate)) if region is not None}
    return Placement(label, norms, others), frozenset(names)


def _is_norm(node: Node) -> bool:
    return isinstance(node.op, Apply) and (node.module or "").endswith(ENDING)


def _word(node: Node) -> str:
    return node.op.layer.word if isinstance(node.op, Apply) else "a flow"
