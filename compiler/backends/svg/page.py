"""The whole picture: title and figures above, the model below them, blocks that it uses beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .columns import Strip
from .figure import Figure, Flow, Item, Wire
from .layout import place
from .measure import SMALL, Piece, frame_head, wrapped
from .placed import HEAD, PAD, Box, Edge, Label, Placed

MARGIN = 24.0
COLUMN_GAP = 40.0
TITLE_SIZE, SUBTITLE_SIZE = 18.0, 11.0
NOTES_WIDTH = 420.0
ACROSS = 1.4  # width over height of a page laid across
LOW = 500.0  # a column is no lower than this
WORTH = 1.15  # how much smaller a page has to be for parts to be folded


@dataclass(frozen=True)
class Page:
    """Everything with coordinates, from the upper left corner; `boxes` from the outside in."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    labels: tuple[Label, ...]


def page(figure: Figure) -> Page:
    """Lay out a figure: blocks stand to the right of the model, in columns. What is too tall is folded, so that all of
    it is as large as can be on a page laid across."""
    model, blocks = Strip(place(figure.flow)), [Strip(_inside(block)) for block in figure.blocks]
    whole, *folded = (_page(figure, model, blocks, limit) for limit in _limits([model, *blocks]))
    best = min(folded, key=_size)
    return best if WORTH * _size(best) < _size(whole) else whole


def _size(page: Page) -> float:
    """How high the page laid across must be that holds it."""
    return max(page.height, page.width / ACROSS)


def _limits(strips: Sequence[Strip]) -> Iterator[float]:
    """How high a column may be: as high as all that it could hold, and less, step by step."""
    limit = LOW + sum(strip.placed.height for strip in strips)
    while limit > LOW:
        yield limit
        limit *= 0.9
    yield LOW


def _page(figure: Figure, strip: Strip, blocks: Sequence[Strip], limit: float) -> Page:
    """The page with columns of at most that height, where that can be."""
    labels, y = _head(figure)
    boxes: list[Box] = []
    edges: list[Edge] = []
    model = strip.within(limit)
    parts = [model.moved(MARGIN, y)]
    right, bottom = MARGIN + model.width, y + model.height
    x, down, widest = right + COLUMN_GAP, y, 0.0
    for block, own in zip(figure.blocks, blocks, strict=True):
        inside = own.within(limit - HEAD - PAD - PAD / 2)
        width, height = _frame_size(block, inside)
        if down > y and down + height > y + limit:
            x, down, widest = x + widest + COLUMN_GAP / 2, y, 0.0
        boxes.append(Box(block, x, down, width, height))
        parts.append(inside.moved(x + (width - inside.width) / 2, down + HEAD + PAD / 2, deeper=1))
        widest = max(widest, width)
        right = max(right, x + width)
        down += height + COLUMN_GAP / 2
        bottom = max(bottom, down - COLUMN_GAP / 2)
    for part in parts:
        boxes += part[0]
        edges += part[1]
        labels += part[2]
    right = max(right, *(label.x + label.piece.width for label in labels))
    boxes.sort(key=lambda box: box.depth)
    return Page(right + MARGIN, bottom + MARGIN, tuple(boxes), tuple(edges), tuple(labels))


def _head(figure: Figure) -> tuple[list[Label], float]:
    y = MARGIN + TITLE_SIZE
    labels = [Label(MARGIN, y, Piece(figure.title, TITLE_SIZE, bold=True))]
    y += 18
    labels.append(Label(MARGIN, y, Piece(figure.subtitle, SUBTITLE_SIZE)))
    for note in figure.notes:
        for text in wrapped(note, NOTES_WIDTH):
            y += 14
            labels.append(Label(MARGIN, y, Piece(text, SMALL, faint=True)))
    return labels, y + 20


def _inside(block: Item) -> Placed:
    """What is in a block that stands beside the model."""
    assert block.inside is not None
    return place(_with_ports(block.inside))


def _frame_size(block: Item, inside: Placed) -> tuple[float, float]:
    left, right = frame_head(block)
    width = max(inside.width + 2 * PAD, left.width + right.width + 30)
    return width, HEAD + PAD / 2 + inside.height + PAD


def _with_ports(flow: Flow) -> Flow:
    """The flow with a port for each of its ends."""
    many = len(flow.inputs) > 1

    def port(item: Item, usual: str) -> Item:
        return Item("port", item.label or usual, details=item.details)

    new = {item: item for item in flow.items}
    new |= {item: port(item, "in" if not many else f"in {i + 1}") for i, item in enumerate(flow.inputs)}
    new |= {item: port(item, "out" if len(flow.outputs) < 2 else f"out {i + 1}") for i, item in enumerate(flow.outputs)}
    return Flow(
        tuple(new[i] for i in flow.inputs),
        tuple(new[i] for i in flow.items),
        tuple(new[i] for i in flow.outputs),
        tuple(Wire((new[w.source[0]], w.source[1]), new[w.target], w.slot) for w in flow.wires),
        {(new[i], n): text for (i, n), text in flow.shapes.items()},
    )
