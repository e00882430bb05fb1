"""The whole picture: title and figures above, the model below them, blocks that it uses beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .figure import Figure, Flow, Item, Wire
from .layout import HEAD, PAD, Box, Edge, Label, place
from .measure import SMALL, Piece, frame_head, wrapped

MARGIN = 24.0
COLUMN_GAP = 40.0
TITLE_SIZE, SUBTITLE_SIZE = 18.0, 11.0
NOTES_WIDTH = 420.0


@dataclass(frozen=True)
class Page:
    """Everything with coordinates, from the upper left corner; `boxes` from the outside in."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    labels: tuple[Label, ...]


def page(figure: Figure) -> Page:
    """Lay out a figure: blocks stand to the right of the model, in columns that are about as high as it."""
    labels, y = _head(figure)
    boxes: list[Box] = []
    edges: list[Edge] = []
    model = place(figure.flow)
    parts = [model.moved(MARGIN, y)]
    right, bottom = MARGIN + model.width, y + model.height
    x, down, widest = right + COLUMN_GAP, y, 0.0
    for block in figure.blocks:
        box, inside, width, height = _block(block)
        if down > y and down + height > max(bottom, y + 500):
            x, down, widest = x + widest + COLUMN_GAP / 2, y, 0.0
        boxes.append(replace(box, x=x, y=down))
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


def _block(block: Item):
    """The frame of a block that stands beside the model, and what is in it."""
    assert block.inside is not None
    inside = place(_with_ports(block.inside))
    left, right = frame_head(block)
    width = max(inside.width + 2 * PAD, left.width + right.width + 30)
    height = HEAD + PAD / 2 + inside.height + PAD
    return Box(block, 0, 0, width, height), inside, width, height


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
