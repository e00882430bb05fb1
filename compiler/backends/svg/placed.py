"""A flow with coordinates: boxes, edges and labels."""

from __future__ import annotations

from dataclasses import dataclass

from .figure import Item
from .measure import Piece

PAD = 12.0  # inside a frame, on the left, the right and below
HEAD = 22.0  # of a frame, above what is in it
SHEET = 4.0  # how far a sheet of a stack stands out behind the one before it
SHEETS = 2


@dataclass(frozen=True)
class Box:
    """An item at its place; `depth` counts the frames around it."""

    item: Item
    x: float
    y: float
    width: float
    height: float
    depth: int = 0

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class Edge:
    """A wire as a line of right angles. `arrow` where it ends at a box, and does not go on into a frame. `entry` is the
    point at which it enters a column, where it parts from others further down: it has a head there too."""

    points: tuple[tuple[float, float], ...]
    source: Item
    target: Item
    arrow: bool
    entry: int | None = None


@dataclass(frozen=True)
class Label:
    """Text beside a wire; `x`, `y` are the left end of its baseline."""

    x: float
    y: float
    piece: Piece


@dataclass(frozen=True)
class Placed:
    """A flow at its place, from (0, 0).

    `top` is where the first input comes in, `sides` the heights at which the others come in from the left, by slot,
    `bottoms` where the outputs leave.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    labels: tuple[Label, ...]
    top: float
    sides: dict[int, float]
    bottoms: tuple[float, ...]

    def moved(self, dx: float, dy: float, deeper: int = 0) -> tuple[list[Box], list[Edge], list[Label]]:
        return (
            [Box(b.item, b.x + dx, b.y + dy, b.width, b.height, b.depth + deeper) for b in self.boxes],
            [
                Edge(tuple((x + dx, y + dy) for x, y in e.points), e.source, e.target, e.arrow, e.entry)
                for e in self.edges
            ],
            [Label(t.x + dx, t.y + dy, t.piece) for t in self.labels],
        )
