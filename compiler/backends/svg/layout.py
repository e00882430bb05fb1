"""Places for everything: a flow becomes boxes, edges and labels with coordinates.

A flow is laid out on a grid. The row of an item is the longest way to it from the inputs; its lane is its chain's, a
chain being items of which each is the first input of the next. The chain that ends in the first output is lane 0; what
branches off stands to the right, what begins at another port to the left.

Wires run in three places, none of which holds a box: down the lane of their source or target where it is free, down
tracks on both sides of a lane, and across in the channels between rows, each in a slot of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .figure import Flow, Item, Wire
from .measure import SMALL, Piece, box_size, frame_head

PAD = 12.0  # inside a frame, on the left, the right and below
HEAD = 22.0  # of a frame, above what is in it
SHEET = 4.0  # how far a sheet of a stack stands out behind the one before it
SHEETS = 2
LANE_GAP = 22.0
TRACK = 11.0
SLOT = 8.0
CHANNEL = 12.0  # above the first slot
ARROW = 12.0  # below the last one
LABEL = 13.0
LINE = 4.0  # on both sides of a wire that runs down a lane
ROOM_FOR_NAME = 90.0  # beside each of several outputs


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
    """A wire as a line of right angles. `arrow` where it ends at a box, and does not go on into a frame."""

    points: tuple[tuple[float, float], ...]
    source: Item
    target: Item
    arrow: bool


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
            [Edge(tuple((x + dx, y + dy) for x, y in e.points), e.source, e.target, e.arrow) for e in self.edges],
            [Label(t.x + dx, t.y + dy, t.piece) for t in self.labels],
        )


def place(flow: Flow) -> Placed:
    """Lay out a flow and all that is inside it."""
    return _Grid(flow).placed()


@dataclass
class _Cell:
    """An item on the grid: its size, and where wires meet it, from its upper left corner."""

    item: Item
    width: float
    height: float
    top: float
    bottoms: list[float]
    inner: Placed | None = None
    shift: float = 0.0  # of what is inside, from the left border
    stack: float = 0.0  # how far the sheets behind it stand out, upwards and to the right
    row: int = 0
    lane: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def entry_y(self) -> float:
        return self.y + (HEAD if self.inner is not None else 0)

    @property
    def exit_y(self) -> float:
        return self.y + (HEAD + self.inner.height if self.inner is not None else self.height)


def _cell(item: Item, labels: list[str]) -> _Cell:
    stack = SHEET * SHEETS if item.count > 1 else 0.0
    if item.inside is None:
        width, height = box_size(item)
        middle = width / 2
        # The first output goes straight on, the others leave beside it, with room for what is written there.
        spread = max((Piece(text, SMALL).width for text in labels), default=0) + 14
        bottoms = [middle + spread * i for i in range(max(1, len(labels)))]
        return _Cell(
            item, max(width, bottoms[-1] + 20) if len(labels) > 1 else width, height, middle, bottoms, stack=stack
        )
    inner = place(item.inside)
    left, right = frame_head(item)
    shift = max(PAD, left.width + 20 - inner.top)
    width = max(shift + inner.width + PAD, shift + inner.top + right.width + 20)
    bottoms = [shift + x for x in inner.bottoms] or [width / 2]
    height = HEAD + inner.height + PAD
    return _Cell(item, width, height, shift + inner.top, bottoms, inner, shift, stack)


@dataclass
class _Chain:
    cells: list[_Cell]
    first: int
    last: int
    carries: Wire | None = None
    """The wire that goes on down the lane, to the side of its target."""


@dataclass
class _Tracks:
    """Rows that are taken on one side of a lane: a track is a list of (first row, last row, whose)."""

    taken: list[list[tuple[int, int, object]]] = field(default_factory=list)

    def take(self, first: int, last: int, owner: object) -> int:
        for i, track in enumerate(self.taken):
            if all(last < a or b < first or who == owner for a, b, who in track):
                track.append((first, last, owner))
                return i
        self.taken.append([(first, last, owner)])
        return len(self.taken) - 1


class _Grid:
    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.beside = {item: slot for slot, item in enumerate(flow.inputs) if slot and item.is_crossing}
        shown: dict[Item, list[str]] = {}
        for wire in flow.wires:
            item, n = wire.source
            texts = shown.setdefault(item, [])
            texts += [""] * (n + 1 - len(texts))
        for (item, n), text in flow.shapes.items():
            texts = shown.setdefault(item, [])
            texts += [""] * (n + 1 - len(texts))
            texts[n] = text
        self.cells = {i: _cell(i, shown.get(i, [])) for i in flow.items if i not in self.beside}
        self.into: dict[Item, list[Wire]] = {item: [] for item in flow.items}
        self.out: dict[Item, list[Wire]] = {item: [] for item in flow.items}
        for wire in flow.wires:
            self.into[wire.target].append(wire)
            self.out[wire.source[0]].append(wire)
        self.tracks: dict[tuple[int, str], _Tracks] = {}
        self.slots: dict[int, list[object]] = {}  # channel below a row -> whose wire runs in which slot
        self._rows()
        self._lanes()
        self._routes()

    # --- rows and lanes --------------------------------------------------------------------------------------------

    def _rows(self) -> None:
        first = set(self.flow.inputs)
        for item, cell in self.cells.items():
            above = [
                self.cells[w.source[0]].row + (0 if w.slot and cell.inner is not None else 1)
                for w in self.into[item]
                if w.source[0] in self.cells
            ]
            cell.row = 0 if item in first else max([1, *above])
        for item, cell in self.cells.items():
            if not self.into[item] and item not in first and self.out[item]:
                cell.row = max(1, min(self.cells[w.target].row for w in self.out[item]) - 1)
        last = max((c.row for i, c in self.cells.items() if i not in self.flow.outputs), default=0) + 1
        for item in self.flow.outputs:
            self.cells[item].row = last
        self.rows = last + 1

    def _lanes(self) -> None:
        self.chains: list[_Chain] = []
        self.chain_of: dict[Item, _Chain] = {}
        taken: dict[int, list[_Chain]] = {}
        for item in (*self.flow.outputs[:1], *reversed(self.flow.items)):
            if item not in self.cells or item in self.chain_of:
                continue
            chain = self._chain(item)
            head = chain.cells[0].item
            step = -1 if self.chains and head in self.flow.inputs else 1
            lane = step if self.chains else 0
            while any(chain.first <= c.last and c.first <= chain.last for c in taken.get(lane, ())):
                lane += step
            taken.setdefault(lane, []).append(chain)
            self.chains.append(chain)
            for cell in chain.cells:
                cell.lane = lane
        self.lanes = sorted(taken) or [0]

    def _chain(self, item: Item) -> _Chain:
        items = [item]
        before: Item | None = None
        while True:
            before = next((w.source[0] for w in self.into[items[-1]] if w.slot == 0), None)
            if before is None or before not in self.cells or before in self.chain_of:
                break
            items.append(before)
        items.reverse()
        cells = [self.cells[i] for i in items]
        assigned = before is not None and before in self.cells
        first = self.cells[before].row + 1 if assigned and before is not None else cells[0].row
        chain = _Chain(cells, min(first, cells[0].row), cells[-1].row)
        for wire in self.out[items[-1]]:
            target = self.cells[wire.target]
            at_side = wire.slot > 0 and wire.source[1] == 0 and target.inner is None
            if at_side and chain.carries is None and target.row > chain.last and wire.target in self.chain_of:
                chain.carries = wire
                chain.last = target.row
        for i in items:
            self.chain_of[i] = chain
        return chain

    # --- where wires run -------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        self.track_of: dict[Wire, tuple[int, str, int]] = {}
        self.above: set[Wire] = set()  # wires from the side that come in at the top
        side_inputs: dict[Item, list[Wire]] = {}
        for wire in self.flow.wires:
            source, target = wire.source[0], self.cells[wire.target]
            if source in self.beside:
                side_inputs.setdefault(source, []).append(wire)
                continue
            cell = self.cells[source]
            if wire.slot == 0:
                if cell.lane != target.lane or abs(cell.bottoms[self._n(wire)] - cell.top) > 0.5:
                    self._slot(cell.row, wire.source)
                continue
            if self._carried(wire):
                continue
            side = self._side(wire)
            first, last = sorted((cell.row + 1, target.row))
            index = self._track(target.lane, side, first, last, wire.source)
            self.track_of[wire] = (target.lane, side, index)
            self._slot(cell.row, wire.source)
        for source, wires in side_inputs.items():
            wires.sort(key=lambda w: self.cells[w.target].row)
            rows = [self.cells[w.target].row for w in wires]
            if len(wires) > 1:
                index = self._track(self.lanes[0], "left", rows[0], rows[-1], source)
                self.track_of.update((w, (self.lanes[0], "left", index)) for w in wires)
            for wire, row in zip(wires, rows, strict=True):
                lane = self.cells[wire.target].lane
                if wire.slot == 0 or any(c.row == row and c.lane < lane for c in self.cells.values()):
                    self.above.add(wire)
                    self._slot(row - 1, source)
        self.side_inputs = side_inputs

    def _n(self, wire: Wire) -> int:
        """Which of the places below its source a wire leaves from."""
        return min(wire.source[1], len(self.cells[wire.source[0]].bottoms) - 1)

    def _carried(self, wire: Wire) -> bool:
        """Whether a wire goes down the lane of its source, and from there to its target with nothing in between."""
        source, target = self.cells[wire.source[0]], self.cells[wire.target]
        if self.chain_of[source.item].carries is not wire or source.lane == target.lane:
            return False
        low, high = sorted((source.lane, target.lane))
        return not any(c.row == target.row and low < c.lane < high for c in self.cells.values())

    def _side(self, wire: Wire) -> str:
        source, target = self.cells[wire.source[0]], self.cells[wire.target]
        return "left" if target.inner is not None or source.lane < target.lane else "right"

    def _slot(self, row: int, owner: object) -> None:
        slots = self.slots.setdefault(row, [])
        if owner not in slots:
            slots.append(owner)

    def _track(self, lane: int, side: str, first: int, last: int, owner: object) -> int:
        return self.tracks.setdefault((lane, side), _Tracks()).take(first, last, owner)

    # --- coordinates -----------------------------------------------------------------------------------------------

    def placed(self) -> Placed:
        self._columns()
        self._heights()
        boxes: list[Box] = []
        edges: list[Edge] = []
        labels: list[Label] = []
        for item, cell in self.cells.items():
            if not item.is_crossing:
                boxes.append(Box(item, cell.x, cell.y, cell.width, cell.height))
            if cell.inner is not None:
                inside = cell.inner.moved(cell.x + cell.shift, cell.y + HEAD, deeper=1)
                boxes += inside[0]
                edges += inside[1]
                labels += inside[2]
        edges += [self._edge(w) for w in self.flow.wires if w.source[0] not in self.beside]
        sides: dict[int, float] = {}
        for source, wires in self.side_inputs.items():
            at, more = self._from_the_side(source, wires)
            sides[self.beside[source]] = at
            edges += more
        labels += self._labels()
        entry = self.flow.inputs[0] if self.flow.inputs else None
        top = self.cells[entry].x + self.cells[entry].top if entry is not None else self.width / 2
        bottoms = tuple(self.cells[i].x + self.cells[i].top for i in self.flow.outputs)
        return Placed(self.width, self.height, tuple(boxes), tuple(edges), tuple(labels), top, sides, bottoms)

    def _columns(self) -> None:
        """Lane 0 first, then outwards: everything stands as near to it as what is in its rows allows."""
        self.left = [0.0] * self.rows
        self.right = [0.0] * self.rows
        self.track_x: dict[tuple[int, str, int], float] = {}
        reach = self._reach()
        for lane in sorted(self.lanes, key=lambda lane: (abs(lane), lane)):
            if lane:
                self._tracks_beside(lane, "left" if lane > 0 else "right", inwards=True)
            for chain in self.chains:
                if chain.cells[0].lane == lane:
                    self._stand(chain, lane, reach)
            for side in ("left", "right"):
                if (lane, side) in self.tracks and not any(key[:2] == (lane, side) for key in self.track_x):
                    self._tracks_beside(lane, side, inwards=False)
        least = min(self.left)
        for cell in self.cells.values():
            cell.x -= least
        self.track_x = {key: x - least for key, x in self.track_x.items()}
        self.width = max(self.right) - least

    def _reach(self) -> dict[Item, float]:
        """How far each item, with what is written below it, goes to the right of its lane."""
        several = len(self.flow.outputs) > 1
        reach = {item: cell.width - cell.top + cell.stack for item, cell in self.cells.items()}
        for (item, n), text in self.flow.shapes.items():
            if item in self.cells:
                cell = self.cells[item]
                end = cell.bottoms[min(n, len(cell.bottoms) - 1)] + 5 + Piece(text, SMALL).width + 4
                reach[item] = max(reach[item], end - cell.top)
        for item in self.flow.outputs:
            if several and item.is_crossing:
                reach[item] = ROOM_FOR_NAME
        return reach

    def _stand(self, chain: _Chain, lane: int, reach: dict[Item, float]) -> None:
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
        taken = self.tracks.get((lane, side), _Tracks()).taken
        outer = self.left if (side == "left") != inwards else self.right
        sign = -1 if outer is self.left else 1
        for index in reversed(range(len(taken))) if inwards else range(len(taken)):
            spans = [range(max(0, a - 1), min(self.rows, b + 1)) for a, b, _ in taken[index]]
            x = sign * max(sign * outer[row] for rows in spans for row in rows) + sign * TRACK
            self.track_x[lane, side, index] = x
            for rows in spans:
                for row in rows:
                    outer[row] = sign * max(sign * outer[row], sign * x)

    def _heights(self) -> None:
        y = 0.0
        self.bottom_of: list[float] = []
        self.lines_of: list[int] = []
        labelled = {self.cells[item].row for item, _ in self.flow.shapes if item in self.cells}
        in_row: dict[int, list[_Cell]] = {}
        for cell in self.cells.values():
            in_row.setdefault(cell.row, []).append(cell)
        for row in range(self.rows):
            cells = in_row.get(row, [])
            tall = max((c.height + c.stack for c in cells), default=0)
            for cell in cells:
                middle = cell.inner is None and not cell.item.is_crossing and tall < 100
                cell.y = y + cell.stack + ((tall - cell.stack - cell.height) / 2 if middle else 0)
            y += tall
            self.bottom_of.append(y)
            slots = len(self.slots.get(row, ()))
            if row < self.rows - 1:
                y += self._channel(slots) + (LABEL if row in labelled else 0)
        self.height = y

    def _channel(self, slots: int) -> float:
        return (CHANNEL - 4 + SLOT * slots if slots else 6.0) + ARROW

    def _slot_y(self, row: int, owner: object) -> float:
        if row < 0:
            return 0.0
        return self.bottom_of[row] + CHANNEL - 2 + SLOT * self.slots[row].index(owner)

    def _edge(self, wire: Wire) -> Edge:
        source, target = self.cells[wire.source[0]], self.cells[wire.target]
        x, y = source.x + source.bottoms[self._n(wire)], source.exit_y
        if wire.slot == 0:
            to = target.x + target.top
            points = [(x, y), (to, target.entry_y)]
            if abs(x - to) > 0.5:
                across = self._slot_y(source.row, wire.source)
                points[1:1] = [(x, across), (to, across)]
            return self._line(points, wire)
        side, height = self._side(wire), self._side_y(wire)
        end = self._side_x(target, side)
        if self._carried(wire):
            side = "right" if source.lane > target.lane else "left"
            end = self._side_x(target, side)
            return self._line([(x, y), (x, height), (end, height)], wire)
        across, down = self._slot_y(source.row, wire.source), self.track_x[self.track_of[wire]]
        return self._line([(x, y), (x, across), (down, across), (down, height), (end, height)], wire)

    def _side_x(self, target: _Cell, side: str) -> float:
        """Where a wire from the side ends: at a box, or where what is inside of a frame begins."""
        if target.inner is not None:
            return target.x + target.shift
        return target.x + (target.width if side == "right" else 0)

    def _side_y(self, wire: Wire) -> float:
        target = self.cells[wire.target]
        if target.inner is not None:
            return target.entry_y + target.inner.sides.get(wire.slot, target.inner.height / 2)
        slots = sorted(w.slot for w in self.into[wire.target] if w.slot)
        return target.y + target.height * (slots.index(wire.slot) + 1) / (len(slots) + 1)

    def _from_the_side(self, source: Item, wires: list[Wire]) -> tuple[float, list[Edge]]:
        """The height at which a further input crosses the frame, and its wires from there."""
        edges: list[Edge] = []
        heights: list[float] = []
        for wire in wires:
            target = self.cells[wire.target]
            if wire in self.above:
                height = self._slot_y(target.row - 1, source)
                aside = 0.0 if wire.slot == 0 else -min(14.0, target.width / 4)
                to = target.x + target.top + aside
                end = [(to, height), (to, target.entry_y if wire.slot == 0 else target.y)]
            else:
                height = self._side_y(wire)
                end = [(self._side_x(target, "left"), height)]
            begin = [(0.0, height)]
            if heights:
                x = self.track_x[self.track_of[wire]]
                begin = [(x, heights[0]), (x, height)]
            heights.append(height)
            edges.append(self._line([*begin, *end], wire))
        return heights[0], edges

    def _line(self, points: list[tuple[float, float]], wire: Wire) -> Edge:
        target = self.cells[wire.target]
        arrow = target.inner is None and not target.item.is_crossing
        return Edge(tuple(points), wire.source[0], wire.target, arrow)

    def _labels(self) -> list[Label]:
        labels: list[Label] = []
        for (item, n), text in self.flow.shapes.items():
            if item not in self.cells:
                continue
            cell = self.cells[item]
            x = cell.x + cell.bottoms[min(n, len(cell.bottoms) - 1)] + 5
            slots = len(self.slots.get(cell.row, ()))
            y = self.bottom_of[cell.row] + (CHANNEL - 4 + SLOT * slots if slots else 4) + SMALL
            labels.append(Label(x, y, Piece(text, SMALL, faint=True)))
        return labels
