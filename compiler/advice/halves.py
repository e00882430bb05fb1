"""Lengths that are halved and doubled inside a block: what they have to be a multiple of is written in the model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from .around import Around, item_of
from .shapes import HALVED

_MULTIPLE = re.compile(r"(?:(\d+) \* )?([A-Z]\w*)")


def with_input_of_halves(finding: Diagnostic, around: Around) -> Diagnostic:
    """`concat` in a level of a U-Net: the help says how the input of the model is written, with its place."""
    if finding.code != "shape-mismatch" or not finding.message.startswith("concat "):
        return finding
    block = item_of(around.nodes(finding.span), tree.Block)
    if block is None:
        return finding
    own = block.signature.span.text if block.signature else ""
    wanted, labels = list[str](), finding.labels
    for number, name in dict.fromkeys(HALVED.findall(finding.message)):
        dims = list(_of_inputs(name, around))
        if len(dims) != 1 or re.search(rf"\b{name}\b", own):
            continue
        dim, times = dims[0]
        wanted.append(f"`{int(number) * times} * {name}` for `{dim.span.text}`")
        labels = (*labels, (dim.span, f"`{name}` comes in here"))
    if not wanted:
        return finding
    help = f"write {' and '.join(wanted)} in the input: what is a multiple comes back whole"
    return replace(finding, labels=labels, help=help)


def _of_inputs(name: str, around: Around) -> Iterator[tuple[tree.Node, int]]:
    """The dims of models' inputs that are so many times that name; of each model the first."""
    for item in (item for file in (around.file, *around.callers) for item in file.items):
        if isinstance(item, tree.Model):
            dims = [dim for port in item.signature.inputs for dim in port.shape.dims]
            found = [(dim, m) for dim in dims if (m := _MULTIPLE.fullmatch(dim.span.text)) and m[2] == name]
            yield from ((dim, int(m[1] or 1)) for dim, m in found[:1])
