"""From a graph to what is drawn of it: every node an item, residuals as arcs, copies that are alike once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import groupby
from typing import TypeGuard

from ...ir.graph import (
    Apply,
    Call,
    Copies,
    Experts,
    Graph,
    LayerModule,
    Loop,
    Module,
    Momentum,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCopies,
    Unit,
    UnitModule,
    Value,
)
from ...ir.text import layer_text
from ...ir.weights import module_weights
from ...layers.registry import stem
from ...semantics.arithmetic import MATHS
from ...semantics.number import Literal, Number, Operation, Reference, written
from .figure import Flow, Item, Source, Wire
from .fold import AGAIN, common, look
from .kinds import kind_of

SIGNS = {"*": "×", "-": "−", "!=": "≠", "<=": "≤", ">=": "≥", "==": "="}
COMMUTES = ("+", "×")
LONGEST = 60  # characters of what stands in a box
LONGEST_CALL = 30


def sketch(graph: Graph) -> Flow:
    """The model, all of it unfolded but copies that are alike."""
    model = graph.model
    flow = _Sketch(model, "", is_model=True)
    flow.enter()
    flow.nodes(model.nodes)
    return flow.leave(graph.outputs)


class _Sketch:
    """One unit or region on its way to a flow."""

    def __init__(self, unit: Unit, prefix: str, *, is_model: bool = False, captured: tuple[Value, ...] = ()) -> None:
        self.unit = unit
        self.prefix = prefix
        self.is_model = is_model
        self.captured = captured
        self.inputs: list[Item] = []
        self.items: list[Item] = []
        self.wires: list[Wire] = []
        self.shapes: dict[Source, str] = {}
        self.known: dict[Value, Source] = {}
        self.depth: dict[Item, int] = {}
        self.ran: set[str] = set()

    # --- ends ------------------------------------------------------------------------------------------------------

    def enter(self, values: tuple[Value, ...] | None = None) -> None:
        for value in self.unit.inputs if values is None else values:
            item = self._end(value.name or ("input" if self.is_model else ""), value)
            self.inputs.append(item)
            self.items.append(item)
            self.known[value] = (item, 0)

    def leave(self, names: tuple[str, ...] = (), values: tuple[Value, ...] | None = None) -> Flow:
        outputs: list[Item] = []
        for i, value in enumerate(self.unit.outputs if values is None else values):
            name = names[i] if i < len(names) else value.name or ""
            item = self._end(name or ("output" if self.is_model else ""), value)
            outputs.append(item)
            self._wire(value, item, 0)
        self.items += outputs
        return Flow(tuple(self.inputs), tuple(self.items), tuple(outputs), tuple(self.wires), self.shapes)

    def _end(self, name: str, value: Value) -> Item:
        """A port of the model, or the point where a wire crosses a frame."""
        type_ = _short(str(value.type))
        return Item("port", _short(name), details=type_) if self.is_model else Item("frame", "", _short(name), type_)

    # --- nodes -----------------------------------------------------------------------------------------------------

    def nodes(self, nodes: tuple[Node, ...]) -> None:
        for node in nodes:
            if isinstance(node.op, Residual):
                self._residual(node, node.op)
            else:
                self._place(self._item(node), node.inputs + self._reads(node), node.outputs)

    def _place(self, item: Item, inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> None:
        self.items.append(item)
        depths = [self.depth.get(self.known[value][0], 0) for value in inputs if value in self.known]
        self.depth[item] = 1 + max(depths, default=0)
        if item.kind == "sum" and item.title in COMMUTES and len(depths) == 2 and depths[1] > depths[0]:
            inputs = inputs[::-1]  # the longer way is the straight one
        for slot, value in enumerate(inputs):
            self._wire(value, item, slot)
        for i, value in enumerate(outputs):
            self.known[value] = (item, i)
            changed = not inputs or str(value.type) != str(inputs[0].type)
            name = value.name if len(outputs) > 1 and value.name else ""
            shown = " ".join(filter(None, (name, str(value.type) if changed else "")))
            if item.inside is not None and shown == _last_shape(item.inside, i):
                continue  # it stands in the frame already
            if shown:
                self.shapes[item, i] = _short(shown)

    def _wire(self, value: Value, target: Item, slot: int) -> None:
        if value in self.known:
            self.wires.append(Wire(self.known[value], target, slot))

    def _item(self, node: Node) -> Item:
        match node.op:
            case Apply(layer=layer):
                return self._layer(node, layer)
            case Pointwise():
                return _pointwise(node.op)
            case Call(function=function, arguments=arguments):
                numbers = ", ".join(written(n) for n in arguments if n is not None)
                return Item("activation", _short(function.name), details=_short_list(numbers))
            case Loop(count=count, body=body):
                details = f"{written(count)} times, one set of weights"
                return Item("frame", "share", details=details, inside=self._body(body))
        module = self._module(node)
        if isinstance(module, UnitModule):
            return self._run(node, module)
        if isinstance(module, Copies):
            return self._copies(node, module)
        if isinstance(module, Experts):
            return self._experts(node, module)
        if isinstance(module, Momentum):
            return self._momentum(node, module)
        return self._other(node)

    def _module(self, node: Node) -> Module | None:
        """The module that a node runs, its own unit's or another's."""
        return self.unit.module(node.module) if node.module else None

    def _layer(self, node: Node, layer: object) -> Item:
        assert isinstance(node.op, Apply)
        text = layer_text(node.op.layer)
        word = node.op.layer.word
        module = self._module(node)
        parameters, again = 0, self._again(node)
        details = [text.removeprefix(word).removeprefix("(").removesuffix(")")]
        if isinstance(module, LayerModule):
            if module.tie is not None:
                details.append(f"weight = {'.'.join(module.tie.path)}.weight".replace(".weight.weight", ".weight"))
            if again:
                details.append(AGAIN)
            else:
                parameters = sum(w.count for w in module_weights(module, "") if not w.shared)
        return Item(
            kind_of(node.op.layer),
            word,
            _given(node.module, word),
            _short_list(", ".join(filter(None, details))),
            parameters,
            paths=self._paths(node),
        )

    def _again(self, node: Node) -> bool:
        again = node.module in self.ran or self.unit.borrowed(node.module) is not None
        if node.module:
            self.ran.add(node.module)
        return again

    def _paths(self, node: Node) -> tuple[str, ...]:
        return (f"{self.prefix}{node.module}",) if node.module else ()

    def _run(self, node: Node, module: UnitModule) -> Item:
        unit = module.unit
        again = self._again(node)
        title = unit.name
        called = re.fullmatch(rf"{re.escape(unit.name)}\([^\n]*\)", node.span.text)
        if isinstance(node.op, Run) and called and len(node.span.text) <= LONGEST_CALL:
            title = node.span.text  # as it was written, with its arguments
        label = "" if unit.kind == "group" else _given(node.module, unit.name)
        return Item(
            "frame",
            _short(title),
            label,
            AGAIN if again else "" if isinstance(node.op, Run) else _word(node.op),
            0 if again else _own(unit),
            inside=_unit_flow(unit, f"{self.prefix}{module.name}."),
            block=unit.name if unit.kind in ("block", "model") else "",
            paths=self._paths(node),
        )

    def _copies(self, node: Node, module: Copies) -> Item:
        """One frame with the copies that are alike, or a frame around one for each kind of copy."""
        label = _given(node.module, "layers") if node.module != "layers" else ""
        title = "" if isinstance(node.op, RunCopies) else _word(node.op)
        total = 0 if self._again(node) else sum(_own(unit) for unit in module.units)
        frames = list(_groups(module.units, f"{self.prefix}{module.name}"))
        name = label or title or "repeat"
        if not frames:
            return Item("plain", name, details="no copies", paths=self._paths(node))
        outer = Item("frame", name, "", title if label else "", total, paths=self._paths(node))
        if len(frames) == 1:
            return replace(outer, count=frames[0].count, inside=frames[0].inside)
        count, frames = _periods(frames)
        return replace(outer, count=count, inside=_series(frames, len(node.inputs)))

    def _experts(self, node: Node, module: Experts) -> Item:
        """The router beside the experts, and the sum of what the chosen ones say."""
        parameters = 0 if self._again(node) else _module_parameters(module)
        prefix = f"{self.prefix}{module.name}"
        entering, leaving, sign = Item("frame"), Item("frame"), Item("sum", "×")
        router = Item(
            "weights",
            "router",
            details=f"top {written(module.top)} of {written(module.count)}",
            parameters=_module_parameters(module.router),
            paths=(f"{prefix}.router",),
        )
        frames = list(_groups(module.units, f"{prefix}.experts"))
        wires = [Wire((entering, 0), item, 0) for item in (*frames, router)]
        wires += [Wire((item, 0), sign, slot) for slot, item in enumerate((*frames, router))]
        wires.append(Wire((sign, 0), leaving, 0))
        inside = Flow((entering,), (entering, *frames, router, sign, leaving), (leaving,), tuple(wires))
        label = _given(node.module, "experts")
        return Item("frame", "experts", label, "", parameters, inside=inside, paths=self._paths(node))

    def _momentum(self, node: Node, module: Momentum) -> Item:
        """A copy that follows a module: no parameters, since nothing trains it."""
        details = f"follows {module.of.name}, {written(module.rate)}"
        if isinstance(module.of, LayerModule):
            item = Item(kind_of(module.of.layer), module.of.layer.word, details=details)
        else:
            unit = module.of.unit
            inside = _unit_flow(unit, f"{self.prefix}{module.name}.")
            item = Item("frame", unit.name, details=details, inside=inside, block=unit.name)
        return replace(item, paths=self._paths(node))

    # --- residuals -------------------------------------------------------------------------------------------------

    def _residual(self, node: Node, op: Residual) -> None:
        """The branch goes down the page, what is kept goes around it, and a sign joins them."""
        x = node.inputs[0]
        h = self._region(op.branch, x)
        kept = self._through(op.skip, x)
        sign = Item("sum", "+")
        sides = (h, kept)
        if op.scale is not None:
            scaled = Value(kept.type)
            self._place(Item("plain", f"× {_short(written(op.scale))}"), (kept,), (scaled,))
            sides = (h, scaled)
        if op.gate is not None:
            sign = Item("plain", "g · h + (1 − g) · x", details="h from above, then x and g")
            sides = (*sides, self._through(op.gate, x))
        joined = op.after.input if op.after is not None else node.outputs[0]
        self._place(sign, sides, (joined,))
        self.shapes.pop((sign, 0), None)
        if op.after is not None:
            self.nodes(op.after.nodes)
            self.known[node.outputs[0]] = self.known.get(op.after.output, (sign, 0))

    def _region(self, region: Region, x: Value) -> Value:
        if x in self.known:
            self.known[region.input] = self.known[x]
        self.nodes(region.nodes)
        return region.output

    def _group(self, node: Node, unit: Unit, name: str) -> None:
        """A group without a frame around it."""
        for inner, outer in zip(unit.inputs, node.inputs, strict=True):
            if outer in self.known:
                self.known[inner] = self.known[outer]
        around = self.unit, self.prefix, self.ran
        self.unit, self.prefix, self.ran = unit, f"{self.prefix}{name}.", set()
        self.nodes(unit.nodes)
        self.unit, self.prefix, self.ran = around
        for inner, outer in zip(unit.outputs, node.outputs, strict=True):
            if inner in self.known:
                self.known[outer] = self.known[inner]

    def _through(self, region: Region | None, x: Value) -> Value:
        """What is kept goes through a region; a group that is all of it stands beside the branch without a frame."""
        if region is None:
            return x
        (node, *rest) = region.nodes or (None,)
        module = self._module(node) if node is not None and not rest else None
        if node is None or not isinstance(module, UnitModule) or module.unit.kind != "group" or node.module in self.ran:
            return self._region(region, x)
        if x in self.known:
            self.known[region.input] = self.known[x]
        self.ran.add(module.name)
        self._group(node, module.unit, module.name)
        return region.output

    # --- whatever else there is ------------------------------------------------------------------------------------

    def _other(self, node: Node) -> Item:
        """A node of a kind that has no picture of its own: a frame around its one region, or a plain box."""
        title, regions = _word(node.op), _regions(node.op)
        numbers = [f"{name} = {written(value)}" for name, value in _fields(node.op) if _is_number(value)]
        item = Item(
            "plain", title, _given(node.module, title), _short_list(", ".join(numbers)), paths=self._paths(node)
        )
        return item if len(regions) != 1 else replace(item, kind="frame", inside=self._body(regions[0]))

    def _body(self, region: Region) -> Flow:
        """A region as what stands in a frame; what it takes from around it comes in at the side."""
        inner = _Sketch(self.unit, self.prefix)
        inner.enter((region.input, *_captured(region)))
        inner.nodes(region.nodes)
        return inner.leave((), (region.output,))

    def _reads(self, node: Node) -> tuple[Value, ...]:
        """What the one region of a node takes from around it."""
        regions = _regions(node.op)
        return _captured(regions[0]) if len(regions) == 1 else ()


def _unit_flow(unit: Unit, prefix: str) -> Flow:
    inner = _Sketch(unit, prefix)
    inner.enter()
    inner.nodes(unit.nodes)
    return inner.leave()


def _pointwise(op: Pointwise) -> Item:
    sign = SIGNS.get(op.operator, op.operator)
    if op.operator == "neg":
        return Item("plain", "−")
    if op.operator in MATHS:
        numbers = ", ".join(written(n) for n in (op.left, op.right) if n is not None)
        return Item("activation", op.operator, details=_short(numbers))
    if op.left is not None:
        return Item("plain", f"{_short(_grouped(op.left))} {sign}")
    if op.right is not None:
        return Item("plain", f"{sign} {_short(_grouped(op.right))}")
    return Item("sum" if len(sign) == 1 else "plain", sign)


def _grouped(n: Number) -> str:
    text = written(n)
    return f"({text})" if isinstance(n, Operation) and " " in text and not text.endswith(")") else text


def _last_shape(flow: Flow, output: int) -> str:
    """What is written where an output leaves a frame."""
    source = next((wire.source for wire in flow.wires if wire.target is flow.outputs[output]), None)
    return flow.shapes.get(source, "") if source is not None else ""


# --- copies ----------------------------------------------------------------------------------------------------------


def _groups(units: tuple[Unit, ...], prefix: str) -> Iterator[Item]:
    """A frame for each run of neighbouring copies that are written alike; figures that differ are left out."""
    flows: dict[int, tuple[Flow, object]] = {}
    for unit in units:
        if id(unit) not in flows:
            flow = _unit_flow(unit, f"{prefix}.#.")
            # What one alone looks like is asked by nobody, and takes a walk through all that lies in it.
            flows[id(unit)] = (flow, look(flow, exact=False) if len(units) > 1 else None)
    numbered = enumerate(units)
    for _, run in groupby(numbered, key=lambda pair: flows[id(pair[1])][1]):
        same = list(run)
        first, last = same[0][0], same[-1][0]
        distinct = {id(unit): flows[id(unit)][0] for _, unit in same}
        alike = common([Item("frame", inside=flow) for flow in distinct.values()])
        name = f"{prefix.rpartition('.')[2]}.{first}" + ("" if first == last else f"-{last}")
        parameters = sum(_own(unit) for _, unit in same)
        yield replace(alike, title=name, parameters=parameters, count=len(same))


def _periods(frames: list[Item]) -> tuple[int, list[Item]]:
    """Copies that take turns are drawn for one turn: how many turns, and the frames of one."""
    looks = [look(replace(frame, title="")) for frame in frames]
    for period in range(2, len(frames) // 2 + 1):
        turns, rest = divmod(len(frames), period)
        if not rest and looks == looks[:period] * turns:
            later = [frame.title.rpartition(".")[2] for frame in frames[period:]]
            named = [replace(f, title=f"{f.title}, {later[i]}, …") for i, f in enumerate(frames[:period])]
            return turns, named
    return 1, frames


def _series(frames: list[Item], inputs: int) -> Flow:
    """Frames one after the other; what comes in at the side goes to each of them."""
    entries = tuple(Item("frame") for _ in range(inputs))
    leaving = Item("frame")
    wires: list[Wire] = []
    above = entries[0]
    for frame in frames:
        wires.append(Wire((above, 0), frame, 0))
        wires += [Wire((entry, 0), frame, slot) for slot, entry in enumerate(entries) if slot]
        above = frame
    wires.append(Wire((above, 0), leaving, 0))
    return Flow(entries, (*entries, *frames, leaving), (leaving,), tuple(wires))


# --- words -----------------------------------------------------------------------------------------------------------


def _own(unit: Unit) -> int:
    return sum(map(_module_parameters, unit.modules))


def _module_parameters(module: Module) -> int:
    """Trained numbers of a module, tied ones not counted."""
    match module:
        case LayerModule():
            return sum(weight.count for weight in module_weights(module, "") if not weight.shared)
        case UnitModule(unit=unit):
            return _own(unit)
        case Copies(units=units):
            return sum(map(_own, units))
        case Experts(router=router, units=units):
            return _module_parameters(router) + sum(map(_own, units))
    return 0


def _given(name: str | None, word: str) -> str:
    """The name of a module, where it is not the one that a module of this kind gets by itself."""
    return "" if not name or re.fullmatch(rf"{re.escape(stem(word))}(_\d+)?", name) else _short(name)


def _word(op: object) -> str:
    return stem(type(op).__name__).replace("_", " ")


def _fields(op: object) -> Iterator[tuple[str, object]]:
    if is_dataclass(op):
        for field in fields(op):
            yield field.name, getattr(op, field.name)


def _regions(op: object) -> list[Region]:
    return [value for _, value in _fields(op) if isinstance(value, Region)]


def _captured(region: Region) -> tuple[Value, ...]:
    """Values that a region reads and that are made outside of it, in the order in which it reads them."""
    made: set[Value] = {region.input}
    read: dict[Value, None] = {}

    def visit(nodes: tuple[Node, ...]) -> None:
        for node in nodes:
            for inner in _regions(node.op):
                made.add(inner.input)
                visit(inner.nodes)
            read.update((value, None) for value in node.inputs if value not in made)
            made.update(node.outputs)

    visit(region.nodes)
    return tuple(value for value in read if value not in made)


def _is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, Literal | Reference | Operation)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _short_list(text: str) -> str:
    """Options, each cut where it is too long."""
    return ", ".join(map(_short, text.split(", ")))
