"""Folding: what looks alike is drawn once.

look        what an item or a flow looks like, to compare
fold_blocks a block that stands at several places becomes a box there, and is drawn beside the model
fold_runs   equal items one after the other become one with a count
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from .figure import Flow, Item, Source, Wire

AGAIN = "the same again"
"""What stands at a module that ran before: its parameters were counted there."""
FEWEST = 3  # items of a block that is worth a place of its own


def look(thing: Item | Flow, *, exact: bool = True) -> object:
    """Equal for what is drawn alike. Without `exact`, parameters and shapes may differ: a block in its own terms."""
    if isinstance(thing, Item):
        if thing.is_crossing:
            return ""
        title = thing.title if exact or not thing.block else thing.block
        label, details = re.sub(r"_\d+$", "", thing.label), thing.details
        if thing.block and not exact:
            label = details = ""  # they belong to the place where it stands
        shown = (thing.kind, title, label, details, thing.count, thing.block)
        inside = look(thing.inside, exact=exact) if thing.inside is not None else None
        return (*shown, thing.parameters if exact else 0, inside)
    place = {item: i for i, item in enumerate(thing.items)}
    wires = tuple((place[w.source[0]], w.source[1], place[w.target], w.slot) for w in thing.wires)
    shapes = tuple((place[i], n, text) for (i, n), text in thing.shapes.items()) if exact else ()
    return tuple(look(item, exact=exact) for item in thing.items), wires, shapes


def fold_blocks(flow: Flow) -> tuple[Flow, tuple[Item, ...]]:
    """The flow with boxes for blocks that are used at several places, and these blocks.

    Where a block comes out in several ways, and one of them is used at several places, all of them are drawn beside.
    """
    uses: dict[object, list[Item]] = {}
    _count(flow, uses)
    several = {items[0].block for items in uses.values() if len(items) > 1}
    names = _names({key: items[0].block for key, items in uses.items() if items[0].block in several})
    found: dict[object, list[Item]] = {}

    def box(item: Item) -> Item:
        key = look(item, exact=False) if _folds(item) else None
        if key not in names:
            return item if item.inside is None else replace(item, inside=changed(item.inside, box))
        found.setdefault(key, []).append(item)
        title = item.title + names[key].removeprefix(item.block)
        return replace(item, kind="block", title=title, inside=None)

    folded = changed(flow, box)
    blocks: dict[object, Item] = {}
    while waiting := [key for key in found if key not in blocks]:
        for key in waiting:
            block = common(found[key])
            assert block.inside is not None
            inside = changed(block.inside, box)
            blocks[key] = replace(block, title=names[key], label="", details="", count=1, inside=inside, paths=())
    return folded, tuple(blocks.values())


def _count(flow: Flow, uses: dict[object, list[Item]]) -> None:
    """Blocks by their look; what stands in a block that is known already is not counted again."""
    for item in flow.items:
        seen: list[Item] = []
        if _folds(item):
            seen = uses.setdefault(look(item, exact=False), [])
            seen.append(item)
        if item.inside is not None and len(seen) < 2:
            _count(item.inside, uses)


def _names(blocks: dict[object, str]) -> dict[object, str]:
    """`Basic`, or `Basic · a` and `Basic · b` where the same block comes out in two ways."""
    ways = Counter(blocks.values())
    used: Counter[str] = Counter()
    names: dict[object, str] = {}
    for key, block in blocks.items():
        used[block] += 1
        names[key] = block if ways[block] == 1 else f"{block} · {chr(96 + used[block])}"
    return names


def fold_runs(flow: Flow) -> Flow:
    """The flow, and those inside it, with runs of equal items as one that stands several times."""
    flow = changed(flow, lambda i: i if i.inside is None else replace(i, inside=fold_runs(i.inside)))
    into: dict[Item, list[Wire]] = {}
    out_of: dict[Item, list[Wire]] = {}
    for wire in flow.wires:
        into.setdefault(wire.target, []).append(wire)
        out_of.setdefault(wire.source[0], []).append(wire)
    runs: dict[Item, list[Item]] = {}  # the last item of a run -> the run
    for item in flow.items:
        above = [wire.source[0] for wire in into.get(item, [])]
        run = runs.pop(above[0], None) if len(above) == 1 and len(out_of[above[0]]) == 1 else None
        may = run is not None and _repeats(run[0]) and _repeats(item) and item.count == 1
        if run is not None and may and look(run[0]) == look(item):
            runs[item] = [*run, item]
        else:
            if run is not None:
                runs[above[0]] = run
            runs[item] = [item]
    merged = {run[0]: run for run in runs.values()}
    gone = {item for run in runs.values() for item in run[1:]}
    last = {run[-1]: run[0] for run in runs.values()}
    new = {first: _times(run) for first, run in merged.items()}
    wires = tuple(
        Wire((new[last[w.source[0]]], w.source[1]), new[w.target], w.slot) for w in flow.wires if w.target not in gone
    )
    shapes = {(new[last[i]], n): text for (i, n), text in flow.shapes.items() if i in last}
    return Flow(
        tuple(new[i] for i in flow.inputs),
        tuple(new[i] for i in flow.items if i not in gone),
        tuple(new[i] for i in flow.outputs),
        wires,
        shapes,
    )


def changed(flow: Flow, change: Callable[[Item], Item]) -> Flow:
    """The flow with every item changed, wired as it was."""
    new = {item: change(item) for item in flow.items}
    return Flow(
        tuple(new[i] for i in flow.inputs),
        tuple(new[i] for i in flow.items),
        tuple(new[i] for i in flow.outputs),
        tuple(Wire((new[w.source[0]], w.source[1]), new[w.target], w.slot) for w in flow.wires),
        {(new[i], n): text for (i, n), text in flow.shapes.items()},
    )


def _every(flow: Flow) -> Iterator[Item]:
    for item in flow.items:
        yield item
        if item.inside is not None:
            yield from _every(item.inside)


def _folds(item: Item) -> bool:
    """Whether an item may be drawn elsewhere: a block of some size that does not hold itself."""
    if not item.block or item.inside is None or sum(not i.is_crossing for i in _every(item.inside)) < FEWEST:
        return False
    return all(inner.block != item.block for inner in _every(item.inside))


def common(items: list[Item]) -> Item:
    """What is the same in all of them: figures that differ are left out."""
    first = items[0]
    if len(items) == 1:
        return first
    alike = len({item.parameters for item in items if item.details != AGAIN}) == 1
    flows = [item.inside for item in items if item.inside is not None]
    if not flows:
        same = all(item.details == first.details for item in items)
        return replace(first, parameters=first.parameters if alike else 0, details=first.details if same else "")
    columns = zip(*(flow.items for flow in flows), strict=True)
    new = {column[0]: common(list(column)) for column in columns}
    flow = flows[0]
    texts = [_shapes(f) for f in flows]
    shapes: dict[Source, str] = {}
    for (item, n), text in flow.shapes.items():
        place = (flow.items.index(item), n)
        if all(t.get(place) == text for t in texts):
            shapes[new[item], n] = text
    inside = Flow(
        tuple(new[i] for i in flow.inputs),
        tuple(new[i] for i in flow.items),
        tuple(new[i] for i in flow.outputs),
        tuple(Wire((new[w.source[0]], w.source[1]), new[w.target], w.slot) for w in flow.wires),
        shapes,
    )
    title = first.title if all(i.title == first.title for i in items) else first.block or first.title
    return replace(first, title=title, parameters=first.parameters if alike else 0, inside=inside)


def _shapes(flow: Flow) -> dict[tuple[int, int], str]:
    place = {item: i for i, item in enumerate(flow.items)}
    return {(place[item], n): text for (item, n), text in flow.shapes.items()}


def _repeats(item: Item) -> bool:
    return not item.is_crossing and item.kind not in ("port", "sum", "plain")


def _times(run: list[Item]) -> Item:
    if len(run) == 1:
        return run[0]
    paths = tuple(path for item in run for path in item.paths)
    return replace(run[0], count=len(run), parameters=sum(i.parameters for i in run), paths=paths)
