"""The grid that a flow is laid out on: which row and lane an item stands in, and where its wires run.

The row of an item is the longest way to it from the inputs; its lane is its chain's, a chain being items of which each
is the first input of the next. The chain that ends in the first output is lane 0; what branches off stands to the
right, what begins at another port to the left.

Wires run in three places, none of which holds a box: down the lane of their source or target where it is free, down
tracks on both sides of a lane, and across in the channels between rows, each in a slot of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .figure import Flow, Item, Wire
from .placed import HEAD, Placed


@dataclass
class Cell:
    """An item on the grid: its size, and where wires meet it, from its upper left corner.

    Row and lane are the grid's to say, `x` and `y` the layout's.
    """

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


@dataclass
class Chain:
    cells: list[Cell]
    first: int
    last: int
    carries: Wire | None = None
    """The wire that goes on down the lane, to the side of its target."""


@dataclass
class Tracks:
    """Rows that are taken on one side of a lane: a track is a list of (first row, last row, whose)."""

    taken: list[list[tuple[int, int, object]]] = field(default_factory=list)

    def take(self, first: int, last: int, owner: object) -> int:
        for i, track in enumerate(self.taken):
            if all(last < a or b < first or who == owner for a, b, who in track):
                track.append((first, last, owner))
                return i
        self.taken.append([(first, last, owner)])
        return len(self.taken) - 1


class Grid:
    """A flow on its grid. `cells` are its items but those that come in at the side."""

    def __init__(self, flow: Flow, cells: Mapping[Item, Cell]) -> None:
        self.flow = flow
        self.cells = cells
        self.beside = {item: slot for slot, item in enumerate(flow.inputs) if slot and item.is_crossing}
        self.into: dict[Item, list[Wire]] = {item: [] for item in flow.items}
        self.out: dict[Item, list[Wire]] = {item: [] for item in flow.items}
        for wire in flow.wires:
            self.into[wire.target].append(wire)
            self.out[wire.source[0]].append(wire)
        self.tracks: dict[tuple[int, str], Tracks] = {}
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
        self.chains: list[Chain] = []
        self.chain_of: dict[Item, Chain] = {}
        taken: dict[int, list[Chain]] = {}
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

    def _chain(self, item: Item) -> Chain:
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
        chain = Chain(cells, min(first, cells[0].row), cells[-1].row)
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
                if cell.lane != target.lane or abs(cell.bottoms[self.below(wire)] - cell.top) > 0.5:
                    self._take_slot(cell.row, wire.source)
                continue
            if self.carried(wire):
                continue
            side = self.side(wire)
            first, last = sorted((cell.row + 1, target.row))
            index = self._take_track(target.lane, side, first, last, wire.source)
            self.track_of[wire] = (target.lane, side, index)
            self._take_slot(cell.row, wire.source)
        for source, wires in side_inputs.items():
            wires.sort(key=lambda w: self.cells[w.target].row)
            rows = [self.cells[w.target].row for w in wires]
            if len(wires) > 1:
                index = self._take_track(self.lanes[0], "left", rows[0], rows[-1], source)
                self.track_of.update((w, (self.lanes[0], "left", index)) for w in wires)
            for wire, row in zip(wires, rows, strict=True):
                lane = self.cells[wire.target].lane
                if wire.slot == 0 or any(c.row == row and c.lane < lane for c in self.cells.values()):
                    self.above.add(wire)
                    self._take_slot(row - 1, source)
        self.side_inputs = side_inputs

    def below(self, wire: Wire) -> int:
        """Which of the places below its source a wire leaves from."""
        return min(wire.source[1], len(self.cells[wire.source[0]].bottoms) - 1)

    def carried(self, wire: Wire) -> bool:
        """Whether a wire goes down the lane of its source, and from there to its target with nothing in between."""
        source, target = self.cells[wire.source[0]], self.cells[wire.target]
        if self.chain_of[source.item].carries is not wire or source.lane == target.lane:
            return False
        low, high = sorted((source.lane, target.lane))
        return not any(c.row == target.row and low < c.lane < high for c in self.cells.values())

    def side(self, wire: Wire) -> str:
        source, target = self.cells[wire.source[0]], self.cells[wire.target]
        return "left" if target.inner is not None or source.lane < target.lane else "right"

    def _take_slot(self, row: int, owner: object) -> None:
        slots = self.slots.setdefault(row, [])
        if owner not in slots:
            slots.append(owner)

    def _take_track(self, lane: int, side: str, first: int, last: int, owner: object) -> int:
        return self.tracks.setdefault((lane, side), Tracks()).take(first, last, owner)
