"""Copies of a repeat that hand their last sums on: each begins with a norm of the stream, and ends with a residual."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.graph import Copies, Region, Residual, Unit, all_nodes
from ...layers.dropout import Dropout
from ...semantics.number import references
from .sums_before_norms import SumsBeforeNorms, is_sum


def handing_copies(unit: Unit, lent: set[str]) -> Iterator[tuple[str, Dropout | None]]:
    """By their names, with what their branches have yet to go through: a Dropout that is alike in all of them, and
    outside them."""
    runs = SumsBeforeNorms(unit, lent, {}).runs
    at_once = {node.module for node in unit.nodes}
    for module in unit.modules:
        if not isinstance(module, Copies) or runs[module.name] != 1 or module.name in lent or not module.units:
            continue
        if module.name in at_once and all(_carries(one, lent) for one in module.units):
            last = [SumsBeforeNorms(one, lent, {}).dropout_of(_last(one)) for one in module.units]
            numbers = {None if one is None else one.p.value for one in last}
            outside = all(one is None or all(r.kind == "constant" for r in references(one.p)) for one in last)
            norms, _ = SumsBeforeNorms(unit, lent, {module.name: None}).pairs(unit.nodes)
            taken = any(node.module == module.name and node.output in norms for node in unit.nodes)
            yield module.name, last[0] if len(numbers) == 1 and outside and taken else None


def copies_of(unit: Unit, name: str) -> tuple[Unit, ...]:
    module = unit.module(name)
    assert isinstance(module, Copies)
    return module.units


def _last(unit: Unit) -> Region:
    """The branch that a copy ends with."""
    op = next(node.op for node in unit.nodes if node.outputs and node.output is unit.outputs[0])
    assert isinstance(op, Residual)
    return op.branch


def _carries(unit: Unit, lent: set[str]) -> bool:
    stream = unit.inputs[0]
    readers = [node for node in all_nodes(unit.nodes) if any(value is stream for value in node.inputs)]
    sums = [node for node in unit.nodes if node.outputs and node.output is unit.outputs[0]]
    if len(readers) != 1 or readers[0] not in unit.nodes or len(sums) != 1 or len(unit.outputs) != 1:
        return False
    (first,), (last,) = readers, sums
    read_again = any(value is last.output for node in all_nodes(unit.nodes) for value in node.inputs)
    begins = SumsBeforeNorms(unit, lent, {}).begins_with_norm(first)
    return not read_again and begins and isinstance(last.op, Residual) and is_sum(last, last.op)
