"""Places for everything: a flow on its grid becomes boxes, edges and labels with coordinates."""

from __future__ import annotations

from .figure import Flow, Item, Wire
from .grid import Cell, Chain, Grid, Tracks
from .measure import SMALL, Piece, box_size, frame_head
from .placed import HEAD, PAD, SHEET, SHEETS, Box, Edge, Label, Placed

LANE_GAP = 22.0
TRACK = 11.0
SLOT = 8.0
CHANNEL = 12.0  # above the first slot
ARROW = 12.0  # below the last one
LABEL = 13.0
LINE = 4.0  # on both sides of a wire that runs down a lane
ROOM_FOR_NAME = 90.0  # beside each of several outputs


def place(flow: Flow) -> Placed:
    """Lay out a flow and all that is inside it."""
    return _Layout(Grid(flow, _cells(flow))).placed()


def _cells(flow: Flow) -> dict[Item, Cell]:
    """The items that have a place: all but the inputs that come in at the side."""
    shown: dict[Item, list[str]] = {}
    for wire in flow.wires:
        item, n = wire.source
        texts = shown.setdefault(item, [])
        texts += [""] * (n + 1 - len(texts))
    for (item, n), text in flow.shapes.items():
        texts = shown.setdefault(item, [])
        texts += [""] * (n + 1 - len(texts))
        texts[n] = text
    beside = {item for slot, item in enumerate(flow.inputs) if slot and item.is_crossing}
    return {item: _cell(item, shown.get(item, [])) for item in flow.items if item not in beside}


def _cell(item: Item, labels: list[str]) -> Cell:
    stack = SHEET * SHEETS if item.count > 1 else 0.0
    if item.inside is None:
        width, height = box_size(item)
        middle = width / 2
        # The first output goes straight on, the others leave beside it, with room for what is written there.
        spread = max((Piece(text, SMALL).width for text in labels), default=0) + 14
        bottoms = [middle + spread * i for i in range(max(1, len(labels)))]
        return Cell(
            item, max(width, bottoms[-1] + 20) if len(labels) > 1 else width, height, middle, bottoms, stack=stack
        )
    inner = place(item.inside)
    left, right = frame_head(item)
    shift = max(PAD, left.width + 20 - inner.top)
    width = max(shift + inner.width + PAD, shift + inner.top + right.width + 20)
    bottoms = [shift + x for x in inner.bottoms] or [width / 2]
    height = HEAD + inner.height + PAD
    return Cell(item, width, height, shift + inner.top, bottoms, inner, shift, stack)


class _Layout:
    """Coordinates for what is on a grid: columns from lane 0 outwards, then heights from the top down."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def placed(self) -> Placed:
        self._columns()
        self._heights()
        boxes: list[Box] = []
        edges: list[Edge] = []
        labels: list[Label] = []
        for item, cell in self.grid.cells.items():
            if not item.is_crossing:
                boxes.append(Box(item, cell.x, cell.y, cell.width, cell.height))
            if cell.inner is not None:
                inside = cell.inner.moved(cell.x + cell.shift, cell.y + HEAD, deeper=1)
                boxes += inside[0]
                edges += inside[1]
                labels += inside[2]
        edges += [self._edge(w) for w in self.grid.flow.wires if w.source[0] not in self.grid.beside]
        sides: dict[int, float] = {}
        for source, wires in self.grid.side_inputs.items():
            at, more = self._from_the_side(source, wires)
            sides[self.grid.beside[source]] = at
            edges += more
        labels += self._labels()
        entry = self.grid.flow.inputs[0] if self.grid.flow.inputs else None
        top = self.grid.cells[entry].x + self.grid.cells[entry].top if entry is not None else self.width / 2
        bottoms = tuple(self.grid.cells[i].x + self.grid.cells[i].top for i in self.grid.flow.outputs)
        return Placed(self.width, self.height, tuple(boxes), tuple(edges), tuple(labels), top, sides, bottoms)

    def _columns(self) -> None:
        """Lane 0 first, then outwards: everything stands as near to it as what is in its rows allows."""
        self.left = [0.0] * self.grid.rows
        self.right = [0.0] * self.grid.rows
        self.track_x: dict[tuple[int, str, int], float] = {}
        reach = self._reach()
        for lane in sorted(self.grid.lanes, key=lambda lane: (abs(lane), lane)):
            if lane:
                self._tracks_beside(lane, "left" if lane > 0 else "right", inwards=True)
            for chain in self.grid.chains:
                if chain.cells[0].lane == lane:
                    self._stand(chain, lane, reach)
            for side in ("left", "right"):
                if (lane, side) in self.grid.tracks and not any(key[:2] == (lane, side) for key in self.track_x):
                    self._tracks_beside(lane, side, inwards=False)
        least = min(self.left)
        for cell in self.grid.cells.values():
            cell.x -= least
        self.track_x = {key: x - least for key, x in self.track_x.items()}
        self.width = max(self.right) - least

    def _reach(self) -> dict[Item, float]:
        """How far each item, with what is written below it, goes to the right of its lane."""
        several = len(self.grid.flow.outputs) > 1
        reach = {item: cell.width - cell.top + cell.stack for item, cell in self.grid.cells.items()}
        for (item, n), text in self.grid.flow.shapes.items():
            if item in self.grid.cells:
                cell = self.grid.cells[item]
                end = cell.bottoms[min(n, len(cell.bottoms) - 1)] + 5 + Piece(text, SMALL).width + 4
                reach[item] = max(reach[item], end - cell.top)
        for item in self.grid.flow.outputs:
            if several and item.is_crossing:
                reach[item] = ROOM_FOR_NAME
        return reach

    def _stand(self, chain: Chain, lane: int, reach: dict[Item, float]) -> None:
        cells = {cell.row: cell for cell in chain.cells}
        rows = range(chain.first, chain.last + 1)
        sides = {row: (cells[row].top, reach[cells[row].item]) if row in cells else (LINE, LINE) for row in rows}
        x = 0.0
        around = [(row, *sides.get(row, (0.0, 0.0))) for row in {max(0, chain.first - 1), *rows}]
        if lane > 0:
            x = max(self.right[row] + LANE_GAP + left for row, left, _ in around)
        elif lane < 0:
            x = min(self.left[row] - LANE_GAP - right for row, _, right in around)
        for row, (left, right) in sides.items():
            self.left[row] = min(self.left[row], x - left)
            self.right[row] = max(self.right[row], x + right)
        for cell in chain.cells:
            cell.x = x - cell.top

    def _tracks_beside(self, lane: int, side: str, *, inwards: bool) -> None:
        """Give the tracks on one side of a lane their places; `inwards` where the lane itself comes behind them."""
        taken = self.grid.tracks.get((lane, side), Tracks()).taken
        outer = self.left if (side == "left") != inwards else self.right
        sign = -1 if outer is self.left else 1
        for index in reversed(range(len(taken))) if inwards else range(len(taken)):
            spans = [range(max(0, a - 1), min(self.grid.rows, b + 1)) for a, b, _ in taken[index]]
            x = sign * max(sign * outer[row] for rows in spans for row in rows) + sign * TRACK
            self.track_x[lane, side, index] = x
            for rows in spans:
                for row in rows:
                    outer[row] = sign * max(sign * outer[row], sign * x)

    def _heights(self) -> None:
        y = 0.0
        self.bottom_of: list[float] = []
        self.lines_of: list[int] = []
        labelled = {self.grid.cells[item].row for item, _ in self.grid.flow.shapes if item in self.grid.cells}
        in_row: dict[int, list[Cell]] = {}
        for cell in self.grid.cells.values():
            in_row.setdefault(cell.row, []).append(cell)
        for row in range(self.grid.rows):
            cells = in_row.get(row, [])
            tall = max((c.height + c.stack for c in cells), default=0)
            for cell in cells:
                middle = cell.inner is None and not cell.item.is_crossing and tall < 100
                cell.y = y + cell.stack + ((tall - cell.stack - cell.height) / 2 if middle else 0)
            y += tall
            self.bottom_of.append(y)
            slots = len(self.grid.slots.get(row, ()))
            if row < self.grid.rows - 1:
                y += self._channel(slots) + (LABEL if row in labelled else 0)
        self.height = y

    def _channel(self, slots: int) -> float:
        return (CHANNEL - 4 + SLOT * slots if slots else 6.0) + ARROW

    def _slot_y(self, row: int, owner: object) -> float:
        if row < 0:
            return 0.0
        return self.bottom_of[row] + CHANNEL - 2 + SLOT * self.grid.slots[row].index(owner)

    def _edge(self, wire: Wire) -> Edge:
        source, target = self.grid.cells[wire.source[0]], self.grid.cells[wire.target]
        x, y = source.x + source.bottoms[self.grid.below(wire)], source.exit_y
        if wire.slot == 0:
            to = target.x + target.top
            points = [(x, y), (to, target.entry_y)]
            if abs(x - to) > 0.5:
                across = self._slot_y(source.row, wire.source)
                points[1:1] = [(x, across), (to, across)]
            return self._line(points, wire)
        side, height = self.grid.side(wire), self._side_y(wire)
        end = self._side_x(target, side)
        if self.grid.carried(wire):
            side = "right" if source.lane > target.lane else "left"
            end = self._side_x(target, side)
            return self._line([(x, y), (x, height), (end, height)], wire)
        across, down = self._slot_y(source.row, wire.source), self.track_x[self.grid.track_of[wire]]
        return self._line([(x, y), (x, across), (down, across), (down, height), (end, height)], wire)

    def _side_x(self, target: Cell, side: str) -> float:
        """Where a wire from the side ends: at a box, or where what is inside of a frame begins."""
        if target.inner is not None:
            return target.x + target.shift
        return target.x + (target.width if side == "right" else 0)

    def _side_y(self, wire: Wire) -> float:
        target = self.grid.cells[wire.target]
        if target.inner is not None:
            return target.entry_y + target.inner.sides.get(wire.slot, target.inner.height / 2)
        slots = sorted(w.slot for w in self.grid.into[wire.target] if w.slot)
        return target.y + target.height * (slots.index(wire.slot) + 1) / (len(slots) + 1)

    def _from_the_side(self, source: Item, wires: list[Wire]) -> tuple[float, list[Edge]]:
        """The height at which a further input crosses the frame, and its wires from there."""
        edges: list[Edge] = []
        heights: list[float] = []
        for wire in wires:
            target = self.grid.cells[wire.target]
            if wire in self.grid.above:
                height = self._slot_y(target.row - 1, source)
                aside = 0.0 if wire.slot == 0 else -min(14.0, target.width / 4)
                to = target.x + target.top + aside
                end = [(to, height), (to, target.entry_y if wire.slot == 0 else target.y)]
            else:
                height = self._side_y(wire)
                end = [(self._side_x(target, "left"), height)]
            begin = [(0.0, height)]
            if heights:
                x = self.track_x[self.grid.track_of[wire]]
                begin = [(x, heights[0]), (x, height)]
            heights.append(height)
            edges.append(self._line([*begin, *end], wire))
        return heights[0], edges

    def _line(self, points: list[tuple[float, float]], wire: Wire) -> Edge:
        target = self.grid.cells[wire.target]
        arrow = target.inner is None and not target.item.is_crossing
        return Edge(tuple(points), wire.source[0], wire.target, arrow)

    def _labels(self) -> list[Label]:
        labels: list[Label] = []
        for (item, n), text in self.grid.flow.shapes.items():
            if item not in self.grid.cells:
                continue
            cell = self.grid.cells[item]
            x = cell.x + cell.bottoms[min(n, len(cell.bottoms) - 1)] + 5
            slots = len(self.grid.slots.get(cell.row, ()))
            y = self.bottom_of[cell.row] + (CHANNEL - 4 + SLOT * slots if slots else 4) + SMALL
            labels.append(Label(x, y, Piece(text, SMALL, faint=True)))
        return labels
