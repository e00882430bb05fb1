"""A page as SVG text: self-contained, the same bytes for the same page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .figure import Item
from .font import FAMILY
from .kinds import COLOURS
from .measure import Line, Piece, box_lines, frame_head
from .page import Page
from .placed import HEAD, SHEET, SHEETS, Box, Edge

INK, FAINT, WIRE = "#1f1f24", "#62626e", "#3c3c46"
CORNER = 5.0
BEND = 6.0


def draw(page: Page, title: str) -> str:
    """The text of the SVG file."""
    width, height = _n(page.width), _n(page.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="{escape(FAMILY)}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for box in page.boxes:
        lines += _box(box)
    for edge in page.edges:
        lines += _edge(edge)
    for box in page.boxes:
        lines += _words(box)
    for label in page.labels:
        lines.append(_text(label.x, label.y, label.piece))
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _box(box: Box) -> Iterator[str]:
    item = box.item
    fill, border = COLOURS[item.kind]
    if item.inside is not None:
        fill = "#f6f6fa" if box.depth % 2 == 0 else "#ffffff"
    yield "<g>"
    if item.paths:
        yield f"<title>{escape(_told(item))}</title>"
    if item.kind == "sum":
        radius = box.width / 2
        x, y = _n(box.x + radius), _n(box.y + radius)
        yield f'<circle cx="{x}" cy="{y}" r="{_n(radius)}" fill="{fill}" stroke="{border}" stroke-width="1.2"/>'
    else:
        for sheet in range(SHEETS if item.count > 1 else 0, -1, -1):
            yield _rectangle(box, sheet * SHEET, fill, border, item)
    yield "</g>"


def _rectangle(box: Box, offset: float, fill: str, border: str, item: Item) -> str:
    radius = box.height / 2 if item.kind == "port" else CORNER
    dashed = ' stroke-dasharray="5 3"' if item.inside is not None and item.count == 1 and not item.block else ""
    return (
        f'<rect x="{_n(box.x + offset)}" y="{_n(box.y - offset)}" width="{_n(box.width)}" height="{_n(box.height)}"'
        f' rx="{_n(min(radius, 12.0))}" fill="{fill}" stroke="{border}"{dashed}/>'
    )


def _told(item: Item) -> str:
    parameters = f": {item.parameters:,} parameters" if item.parameters else ""
    return f"{', '.join(item.paths)}{parameters}"


def _words(box: Box) -> Iterator[str]:
    item = box.item
    if item.inside is not None:
        left, right = frame_head(item)
        y = box.y + HEAD - 7
        yield from _line(left, box.x + 8, y)
        yield from _line(right, box.right - 8 - right.width, y)
        return
    if item.kind == "sum":
        piece = Piece(item.title, 15)
        yield _text(box.x + (box.width - piece.width) / 2, box.y + box.height / 2 + 5.2, piece)
        return
    lines = box_lines(item)
    y = box.y + (box.height - sum(line.height for line in lines)) / 2
    for line in lines:
        size = max(piece.size for piece in line.pieces)
        yield from _line(line, box.x + (box.width - line.width) / 2, y + line.height / 2 + size * 0.36)
        y += line.height


def _line(line: Line, x: float, y: float) -> Iterator[str]:
    for piece in line.pieces:
        if piece.text:
            yield _text(x, y, piece)
        x += piece.width


def _text(x: float, y: float, piece: Piece) -> str:
    """Text of exactly the width that it was given room for, whatever face it is set in."""
    text = piece.text
    bold = ' font-weight="bold"' if piece.bold else ""
    shade = FAINT if piece.faint else INK
    lead = len(text) - len(text.lstrip())
    x += Piece(" " * lead, piece.size, piece.bold).width
    shown = Piece(text.strip(), piece.size, piece.bold)
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(piece.size)}"{bold} fill="{shade}"'
        f' textLength="{_n(shown.width)}" lengthAdjust="spacingAndGlyphs">{escape(shown.text)}</text>'
    )


def _edge(edge: Edge) -> Iterator[str]:
    points = _without_repeats(edge.points)
    if len(points) < 2:
        return
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        ax, ay = _towards(at, before)
        bx, by = _towards(at, after)
        path.append(f"L{_n(ax)} {_n(ay)}Q{_n(at[0])} {_n(at[1])} {_n(bx)} {_n(by)}")
    end = points[-1]
    tip = _towards(end, points[-2], 5.0) if edge.arrow else end
    path.append(f"L{_n(tip[0])} {_n(tip[1])}")
    yield f'<path d="{"".join(path)}" fill="none" stroke="{WIRE}" stroke-width="1.1"/>'
    if edge.entry is not None:
        yield _head(edge.points[edge.entry], edge.points[edge.entry - 1])
    if edge.arrow:
        yield _head(end, tip)


def _head(end: tuple[float, float], before: tuple[float, float]) -> str:
    """The head of an arrow that comes to `end` from the side of `before`."""
    dx, dy = end[0] - before[0], end[1] - before[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    dx, dy = dx / length, dy / length
    base = (end[0] - 7 * dx, end[1] - 7 * dy)
    left, right = (base[0] - 3 * dy, base[1] + 3 * dx), (base[0] + 3 * dy, base[1] - 3 * dx)
    corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in (end, left, right))
    return f'<polygon points="{corners}" fill="{WIRE}"/>'


def _without_repeats(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for point in points:
        if not kept or abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) > 0.01:
            kept.append(point)
    return kept


def _towards(at: tuple[float, float], other: tuple[float, float], most: float = BEND) -> tuple[float, float]:
    """The point a little way from one point to another, at most half of it."""
    dx, dy = other[0] - at[0], other[1] - at[1]
    length = (dx * dx + dy * dy) ** 0.5
    part = min(most, length / 2) / length
    return at[0] + dx * part, at[1] + dy * part


def _n(value: float) -> str:
    """A coordinate with one decimal at most."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")
