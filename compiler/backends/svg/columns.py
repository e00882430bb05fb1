"""A tall strip in columns: a flow that is higher than the page is cut where one value alone goes on, and its parts
stand side by side. Its wire goes around, from the foot of a part to the head of the next.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .layout import ARROW, CHANNEL, LABEL
from .placed import Edge, Placed

GUTTER = 36.0  # between columns, the wire in its middle
AROUND = 14.0  # above and below the columns, for the wire
ABOVE, BELOW = ARROW - 2, 3.0  # how far from a box a wire is cut


@dataclass(frozen=True)
class _Neck:
    """A height at which one value alone goes on, by edges that lie on each other; what is below begins at `top`."""

    y: float
    top: float
    edges: tuple[Edge, ...]


class Strip:
    """A flow that nothing enters or leaves, since its ends are ports."""

    def __init__(self, placed: Placed) -> None:
        self.placed = placed
        self.necks = _necks(placed)

    def within(self, limit: float) -> Placed:
        """In as few columns as are no higher than the limit; higher ones where it cannot be cut."""
        if self.placed.height <= limit:
            return self.placed
        cuts: list[_Neck] = []
        ends = [*(neck.y for neck in self.necks), self.placed.height][1:]
        for neck, end in zip(self.necks, ends, strict=True):
            if end - (cuts[-1].y if cuts else 0.0) > limit - 2 * AROUND:
                cuts.append(neck)
        return _Columns(self.placed, cuts).placed() if cuts else self.placed


def _necks(placed: Placed) -> list[_Neck]:
    """All of them, from the top: above a box that one edge leads to, and below one whose edges part further down."""
    outer = [box for box in placed.boxes if not box.depth]
    heights = {(box.y - ABOVE, box.y) for box in outer} | {(box.bottom + BELOW, box.bottom + BELOW) for box in outer}
    spans: list[tuple[float, float, Edge | None]] = [(box.y, box.bottom, None) for box in outer]
    for edge in placed.edges:
        levels = [y for _, y in edge.points]
        spans.append((min(levels), max(levels), edge))
    spans.sort(key=lambda span: span[0])
    found: list[_Neck] = []
    passing: list[tuple[float, float, Edge | None]] = []
    next_one = 0
    for y, top in sorted(heights):
        while next_one < len(spans) and spans[next_one][0] < y:
            passing.append(spans[next_one])
            next_one += 1
        passing = [span for span in passing if span[1] > y]
        edges = tuple(edge for _, _, edge in passing if edge is not None)
        if not edges or len(edges) < len(passing) or not _is_neck(y, top, edges, placed):
            continue
        if not found or not set(map(id, edges)) & set(map(id, found[-1].edges)):
            found.append(_Neck(y, top, edges))
    return found


def _is_neck(y: float, top: float, edges: Sequence[Edge], placed: Placed) -> bool:
    """Whether what passes can be cut here: a port is not cut off from what it belongs to, nor a shape from its wire."""
    if any("port" in (edge.source.kind, edge.target.kind) for edge in edges):
        return False
    if y < top:
        return len(edges) == 1
    apart = any(edge.points[0] != edges[0].points[0] or edge.points[1][1] <= y for edge in edges)
    return len(edges) > 1 and not apart and not any(y < label.y < y + CHANNEL + LABEL for label in placed.labels)


class _Columns:
    """The parts of a flow side by side, from the left to the right."""

    def __init__(self, placed: Placed, cuts: Sequence[_Neck]) -> None:
        self.flow = placed
        self.heights = [neck.y for neck in cuts]
        self.cut = {id(edge): i for i, neck in enumerate(cuts) for edge in neck.edges}
        self.tops = [0.0, *(neck.top for neck in cuts)]
        self.ends = [*self.heights, placed.height]
        self.shifts: list[tuple[float, float]] = []
        self.gutters: list[float] = []  # behind each column
        x = 0.0
        for (left, right), top in zip(self._extents(), self.tops, strict=True):
            self.shifts.append((x - left, AROUND - top))
            x += right - left + GUTTER
            self.gutters.append(x - GUTTER / 2)
        self.width = x - GUTTER

    def _part(self, y: float) -> int:
        return bisect_left(self.heights, y)

    def _extents(self) -> list[tuple[float, float]]:
        """How far each part goes to the left and to the right."""
        reach: list[list[float]] = [[] for _ in self.ends]
        for box in self.flow.boxes:
            reach[self._part(box.y)] += [box.x, box.right]
        for label in self.flow.labels:
            reach[self._part(label.y)] += [label.x, label.x + label.piece.width]
        for x, y in (point for edge in self.flow.edges for point in edge.points):
            reach[self._part(y)].append(x)
        return [(min(xs), max(xs)) for xs in reach]

    def placed(self) -> Placed:
        flow, at = self.flow, self._at
        boxes = tuple(replace(box, x=x, y=y) for box in flow.boxes for x, y in [at(box.x, box.y)])
        labels = tuple(replace(label, x=x, y=y) for label in flow.labels for x, y in [at(label.x, label.y)])
        height = max(end - top for top, end in zip(self.tops, self.ends, strict=True)) + 2 * AROUND
        edges = tuple(map(self._edge, flow.edges))
        return replace(flow, width=self.width, height=height, boxes=boxes, edges=edges, labels=labels)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        dx, dy = self.shifts[self._part(y)]
        return x + dx, y + dy

    def _edge(self, edge: Edge) -> Edge:
        points = [self._at(*point) for point in edge.points]
        i = self.cut.get(id(edge))
        entry = None
        if i is not None:
            first = sum(y <= self.heights[i] for _, y in edge.points)
            foot = self.ends[i] + self.shifts[i][1] + AROUND / 2
            gutter, (before, _), (after, _) = self.gutters[i], points[first - 1], points[first]
            around = [(before, foot), (gutter, foot), (gutter, 0.0), (after, 0.0)]
            if self.tops[i + 1] == self.heights[i]:  # no box follows at once, at which the wire has its head
                around.append((after, AROUND))
                entry = first + len(around) - 1
            points[first:first] = around
        return replace(edge, points=tuple(points), entry=entry)
