"""The IR as text, for people: every value with its type, every unit with what is inside it.

model MLP (image: [B, 1, 8, 8]) -> (logits: [B, classes])
  %1 = flatten(image)                [B, 64]
  %2 = fc1: Linear(hidden)(%1)       [B, hidden]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..layers.base import Layer
from ..layers.score import ScoreFunction
from ..layers.side import Side
from ..semantics.arithmetic import MATHS
from ..semantics.evaluate import is_number
from ..semantics.number import Number, written
from ..semantics.tensor import Type
from .graph import (
    Apply,
    Call,
    Checkpoint,
    Copies,
    Experts,
    Graph,
    LayerModule,
    Loop,
    Momentum,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCarrying,
    RunCopies,
    RunExperts,
    RunMomentum,
    Unit,
    UnitModule,
    Value,
)

STEP = "  "


def graph_text(graph: Graph) -> str:
    """The whole graph, a node a line; units that are used stand where they are used."""
    head, *nodes = _unit(graph.model, graph.outputs, "")
    return "\n".join(_aligned([head, *_bounds(graph), *nodes]))


def _bounds(graph: Graph) -> Iterator[_Line]:
    """How large the open dims may be that have bounds: `2 <= T <= context`."""
    for name in dict.fromkeys((*graph.least, *graph.limits)):
        least, most = graph.least.get(name), graph.limits.get(name)
        low = "" if least is None else f"{written(least)} <= "
        high = "" if most is None else f" <= {written(most)}"
        yield f"{STEP}{low}{name}{high}", ""


def layer_text(layer: Layer) -> str:
    """A layer as a spec would write it, with the options that differ from their defaults: `Linear(4 * dim)`."""
    fields = type(layer).options
    positional: list[str] = []
    named: list[str] = []
    for name, field in fields.items():
        value = getattr(layer, name)
        if _flows(value):
            continue  # it stands among the inputs
        if name == type(layer).keywords:
            named += [f"{key} = {_option(one)}" for key, one in value]
        elif field.required:
            positional.append(_option(value))
        elif not _is_default(value, field.default):
            named.append(f"{name} = {_option(value)}")
    listed = ", ".join(positional + named)
    return f"{layer.word}({listed})" if listed else layer.word


# A line of text and the type that stands behind it in a column of its own.
_Line = tuple[str, str]


class _Names:
    """`%1`, `%2` in the order of the page for what has no name of its own."""

    def __init__(self) -> None:
        self._given: dict[Value, str] = {}
        self._count = 0

    def __getitem__(self, value: Value) -> str:
        if value not in self._given:
            if value.name:
                self._given[value] = value.name
            else:
                self._count += 1
                self._given[value] = f"%{self._count}"
        return self._given[value]

    def listed(self, values: Iterable[Value]) -> str:
        return ", ".join(self[value] for value in values)

    def bind(self, inner: Value, outer: Value) -> None:
        self._given[inner] = self[outer]


def _unit(unit: Unit, outputs: tuple[str, ...], lead: str) -> Iterator[_Line]:
    names = _Names()
    entering = ", ".join(f"{names[value]}: {value.type}" for value in unit.inputs)
    ports = outputs or ("",) * len(unit.outputs)
    leaving = ", ".join(
        f"{port}: {value.type}" if port else str(value.type) for port, value in zip(ports, unit.outputs, strict=True)
    )
    yield f"{lead}{unit.kind} {unit.name} ({entering}) -> ({leaving})", ""
    yield from _nodes(unit, unit.nodes, names, lead + STEP)
    yield f"{lead}{STEP}return {names.listed(unit.outputs)}", ""


def _nodes(unit: Unit, nodes: Iterable[Node], names: _Names, lead: str) -> Iterator[_Line]:
    for node in nodes:
        inputs = names.listed(node.inputs)
        what, inside = _operation(unit, node, inputs, names, lead + STEP)
        outputs = names.listed(node.outputs)
        yield f"{lead}{outputs} = {what}", _types(value.type for value in node.outputs)
        yield from inside


def _operation(unit: Unit, node: Node, inputs: str, names: _Names, lead: str) -> tuple[str, list[_Line]]:
    label = f"{node.module}: " if node.module else ""
    match node.op:
        case Apply(layer=layer):
            return f"{label}{layer_text(layer)}({inputs}){_tie(unit, node)}", []
        case Pointwise(operator=operator, left=left, right=right):
            sides = iter(names[value] for value in node.inputs)
            if operator == "neg":
                return f"-{next(sides)}", []
            if operator in MATHS:
                numbers = [written(n) if n is not None else next(sides, "") for n in (left, right)]
                return f"{operator}({', '.join(filter(None, numbers))})", []
            first = written(left) if left is not None else next(sides)
            second = written(right) if right is not None else next(sides)
            return f"{first} {operator} {second}", []
        case Call(function=function, arguments=arguments):
            sides = iter(names[value] for value in node.inputs)
            listed = ", ".join(next(sides) if n is None else written(n) for n in arguments)
            return f"{function.name}({listed})", []
        case Run():
            module = unit.module(node.module or "")
            assert isinstance(module, UnitModule)
            return f"{label}{module.unit.name}({inputs})", list(_unit(module.unit, (), lead))
        case RunCopies() | RunCarrying():
            module = unit.module(node.module or "")
            assert isinstance(module, Copies)
            return f"{label}repeat({written(module.count)})({inputs})", list(_copies(module, lead))
        case Residual() as op:
            factor = f", scale = {written(op.scale)}" if op.scale is not None else ""
            regions = {"branch": op.branch, "skip": op.skip, "gate": op.gate, "after": op.after}
            inside: list[_Line] = []
            for what, region in regions.items():
                if region is not None:
                    entering = None if what == "after" else node.inputs[0]
                    inside += _region(unit, region, entering, names, lead, what)
            return f"residual({inputs}{factor})", inside
        case Loop(count=count, body=body):
            return f"share({written(count)})({inputs})", list(_region(unit, body, None, names, lead, "body"))
        case Checkpoint(body=body):
            return f"checkpoint({inputs})", list(_region(unit, body, node.inputs[0], names, lead, "body"))
        case RunExperts():
            module = unit.module(node.module or "")
            assert isinstance(module, Experts)
            head = f"{label}experts({written(module.count)}, top = {written(module.top)})({inputs})"
            return head, list(_unit(module.units[0], (), lead))
        case RunMomentum():
            module = unit.module(node.module or "")
            assert isinstance(module, Momentum)
            return f"{label}momentum_copy({module.of.name}, {written(module.rate)})({inputs})", []


def _region(unit: Unit, region: Region, entering: Value | None, names: _Names, lead: str, what: str) -> Iterator[_Line]:
    if entering is not None:
        names.bind(region.input, entering)
    yield f"{lead}{what} ({names[region.input]})", ""
    yield from _nodes(unit, region.nodes, names, lead + STEP)
    yield f"{lead}{STEP}return {names[region.output]}", ""


def _copies(module: Copies, lead: str) -> Iterator[_Line]:
    """Copies that are alike are written once."""
    written_units: dict[int, list[int]] = {}
    for index, unit in enumerate(module.units):
        written_units.setdefault(id(unit), []).append(index)
    for indices in written_units.values():
        shown = f"{module.name}.{indices[0]}" if len(indices) == 1 else f"{module.name}.{_ranges(indices)}"
        yield f"{lead}# {shown}", ""
        yield from _unit(module.units[indices[0]], (), lead)


def _ranges(indices: list[int]) -> str:
    """`0-3, 5`"""
    parts: list[list[int]] = []
    for index in indices:
        if parts and parts[-1][-1] == index - 1:
            parts[-1].append(index)
        else:
            parts.append([index])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _tie(unit: Unit, node: Node) -> str:
    module = unit.module(node.module) if node.module else None
    tie = module.tie if isinstance(module, LayerModule) else None
    return f" with weight = {'.'.join(tie.path)}" if tie is not None else ""


def _types(types: Iterable[Type]) -> str:
    return ", ".join(map(str, types))


def _aligned(lines: Iterable[_Line]) -> Iterator[str]:
    listed = list(lines)
    width = min(72, max((len(text) for text, type_ in listed if type_), default=0))
    for text, type_ in listed:
        yield f"{text:<{width}}  {type_}" if type_ else text


def _flows(value: object) -> bool:
    parts = value if isinstance(value, tuple) else (value,)
    return any(isinstance(part, Side) for part in parts)


def _option(value: object) -> str:
    if isinstance(value, Layer):
        return layer_text(value)
    if isinstance(value, ScoreFunction):
        own = [f"{name} = {_option(one)}" for name, one in value.arguments.items() if name not in value.sides]
        return f"{value.function.name}({', '.join(own)})" if own else value.function.name
    if is_number(value):
        number: Number = value  # pyright: ignore[reportAssignmentType]  `is_number` has looked
        return written(number)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_option, value))}]"
    if isinstance(value, str) and not value.isidentifier():
        return f'"{value}"'
    return "none" if value is None else str(value)


def _is_default(value: object, default: object) -> bool:
    if is_number(value) and isinstance(default, int | float):
        known = value.value  # pyright: ignore[reportAttributeAccessIssue]  `is_number` has looked
        return known is not None and float(known) == default
    return value == default
