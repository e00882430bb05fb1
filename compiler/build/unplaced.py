"""Blocks that nothing places, looked at all the same: what is wrong whatever flows in, and what their own signature
rules out.

What flows in a block depends on its calls, which there are none of. Built with inputs and parameters of which nothing
is known, it tells the faults that no call could mend. Where the signature says how wide its inputs are, a fault in the
shapes that is there however long the other axes are is a fault of the block's own too.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ..ir.graph import Value
from ..semantics.evaluate import evaluate, is_number
from ..semantics.number import Number, is_whole, number
from ..semantics.report import Report, Unheard
from ..semantics.resolve import FileScope
from ..semantics.tensor import Tensor
from .blocks import build_block
from .bounds import capitals
from .context import Context
from .draft import UnitDraft
from .endless_blocks import leads_to_endless
from .env import Env
from .signatures import promised_type

_LENGTHS = (1, 2, 720_720)
"""One that everything stretches from, and one that all small numbers divide."""


def check_unplaced(file: FileScope, report: Report) -> None:
    """Report what is wrong in the blocks of this file that no model, constant or default leads to."""
    own = [name for name in file.blocks if name not in file.owners]
    placed = _placed(file) if own else set()
    left = [file.blocks[name] for name in own if name not in placed]
    if report.names_elsewhere or not left:
        return
    for block in left:
        shapes = [] if leads_to_endless(block, file) else _faults(block, file)
        lines = {shape.span.line for shape in shapes}
        for finding in (*_faults_of_any_call(block, file), *shapes):
            # What is lost of a split that does not come out even is lost by that.
            if finding.code != "lost-value" or finding.span.line not in lines:
                report.add(finding)


def _placed(file: FileScope) -> set[str]:
    """The blocks that the text leads to from what is no block."""
    found: set[str] = set()
    left: list[tree.Node] = [item for item in file.file.items if not isinstance(item, tree.Block)]
    while left:
        words = {node.parts[0] for node in tree.walk(left.pop()) if isinstance(node, tree.Path)}
        new = (words & file.blocks.keys()) - found
        found |= new
        left += [file.blocks[name] for name in new]
    return found


def _faults_of_any_call(block: tree.Block, file: FileScope) -> Iterator[Diagnostic]:
    """What is wrong in a block whatever it is given."""
    found = Report()
    draft = UnitDraft("model", "", block.span, None, frozenset())
    ctx = Context(found, draft, Env(None, file), depth=number(1), alone=True)  # a call may stand in a `repeat`
    ports = block.signature.inputs if block.signature else ()
    build_block(block, _call(block), tuple(ctx.unknown() for _ in ports or (None,)), None, ctx)
    return _inside(block, found)


def _call(block: tree.Block) -> tree.Stage:
    return tree.Stage(tree.Path((block.name.text,), span=block.name.span), None, None, span=block.name.span)


def _inside(block: tree.Block, found: Report) -> Iterator[Diagnostic]:
    """The findings whose place is in the block."""
    inside = range(block.span.start, block.span.end)
    return (d for d in found.diagnostics if d.span.source is block.span.source and d.span.start in inside)


def _faults(block: tree.Block, file: FileScope) -> list[Diagnostic]:
    """The shapes that do not fit, whatever the open dims and the parameters are."""
    ports = block.signature.inputs if block.signature else ()
    if not ports or any(_is_open(port.shape) for port in ports):
        return []
    names = [name for port in ports for dim in port.shape.dims for name, _ in capitals(dim)]
    lengths = [number(n) for n in _LENGTHS] + list(_numbers(block, file)) if names else [number(1)]
    common: dict[tuple[int, int], Diagnostic] | None = None
    for length in lengths:
        found = {(d.span.start, d.span.end): d for d in _built(block, ports, dict.fromkeys(names, length), file)}
        common = found if common is None else {place: d for place, d in common.items() if place in found}
        if not common:
            return []
    return list((common or {}).values())


def _is_open(shape: tree.Shape) -> bool:
    """Whether an input may be of any width."""
    rank = len(shape.dims)
    channels = 1 if rank in (4, 5) else rank - 1
    return rank == 0 or any(True for _ in capitals(shape.dims[channels]))


def _numbers(block: tree.Block, file: FileScope) -> Iterator[Number]:
    """The whole numbers that the block names: a length may have to be one of them."""
    for node in tree.walk(block):
        if isinstance(node, tree.Number | tree.Stage) and (isinstance(node, tree.Number) or node.args is None):
            value = evaluate(node, file, Unheard())
            if is_number(value) and is_whole(value):
                yield value


def _built(
    block: tree.Block, ports: tuple[tree.Port, ...], dims: dict[str, Number], file: FileScope
) -> list[Diagnostic]:
    """What is said of the shapes where the open dims are as long as that."""
    found = Report()
    env = Env(None, file)
    for name, length in dims.items():
        env.give(name, length, block.name.span)
    types = [promised_type(port.shape, env, Unheard()) for port in ports]
    if not all(isinstance(type_, Tensor) for type_ in types):
        return []
    draft = UnitDraft("model", "", block.span, None, frozenset())
    draft.inputs += [draft.own(Value(type_)) for type_ in types]
    build_block(block, _call(block), tuple(draft.inputs), None, Context(found, draft, env))
    return [d for d in _inside(block, found) if d.code == "shape-mismatch"]
