"""Whether two models compute the same: where the same modules make the same outputs of the same inputs.

Names of blocks and values, and in which order independent stages stand, make no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass

from ..ir.graph import Apply, Copies, Graph, LayerModule, Node, Pointwise, Region, Residual, Unit, UnitModule, Value
from .values import meaning

COMMUTES = ("+", "*")


def same_function(a: Graph, b: Graph, *, figures: bool = True) -> bool:
    """Whether two models compute the same outputs of the same inputs, with modules under the same keys.

    Without `figures` only what is wired to what is compared, whatever the options.
    """
    signer = _Signer(figures)
    inputs = [signer.id(("input", i)) for i in range(max(len(a.model.inputs), len(b.model.inputs)))]
    first, second = (signer.unit(g.model, "", inputs[: len(g.model.inputs)]) for g in (a, b))
    return first == second


class _Signer:
    """Numbers for what is computed: the same number for the same operation on the same numbers."""

    def __init__(self, figures: bool) -> None:
        self.known: dict[object, int] = {}
        self.told = meaning if figures else _kind

    def id(self, what: object) -> int:
        return self.known.setdefault(what, len(self.known))

    def unit(self, unit: Unit, prefix: str, inputs: list[int]) -> list[int]:
        known = dict(zip(unit.inputs, inputs, strict=True))
        self._nodes(unit, prefix, unit.nodes, known)
        return [known[value] for value in unit.outputs]

    def _nodes(self, unit: Unit, prefix: str, nodes: Iterable[Node], known: dict[Value, int]) -> None:
        for node in nodes:
            inputs = [known[value] for value in node.inputs]
            for value, number in zip(node.outputs, self._node(unit, prefix, node, inputs, known), strict=False):
                known[value] = number

    def _node(self, unit: Unit, prefix: str, node: Node, inputs: list[int], known: dict[Value, int]) -> list[int]:
        key = f"{prefix}{node.module}" if node.module else ""
        module = unit.module(node.module) if node.module else None
        match node.op:
            case Apply(layer=layer):
                tie = meaning(module.tie) if isinstance(module, LayerModule) else None
                return self._outputs(node, ("apply", key, self.told(layer), tie, tuple(inputs)))
            case Pointwise(operator=operator, left=left, right=right):
                sides = tuple(sorted(inputs) if operator in COMMUTES else inputs)
                fixed = (self.told(left), self.told(right))
                if operator in COMMUTES and (left is None) != (right is None):
                    fixed = (self.told(left if left is not None else right), None)
                return [self.id((operator, *fixed, sides))]
            case Residual(branch=branch, after=after):
                return [self._residual(unit, prefix, node.op, branch, after, inputs[0], known)]
        if isinstance(module, UnitModule):
            return self.unit(module.unit, f"{key}.", inputs)
        if isinstance(module, Copies):
            for i, inner in enumerate(module.units):
                inputs = [*self.unit(inner, f"{key}.{i}.", inputs), *inputs[1:]]
            return inputs[:1]
        return self._outputs(node, (*self._other(unit, prefix, node, inputs, known), key, tuple(inputs)))

    def _residual(
        self,
        unit: Unit,
        prefix: str,
        op: Residual,
        branch: Region,
        after: Region | None,
        x: int,
        known: dict[Value, int],
    ) -> int:
        h = self._region(unit, prefix, branch, x, known)
        extras: list[object] = []
        inner = [h]
        for name, value in _fields(op):
            if isinstance(value, Region) and name not in ("branch", "after"):
                extras.append(name)
                inner.append(self._region(unit, prefix, value, x, known))
            elif value is not None and not isinstance(value, Region):
                extras.append((name, self.told(value)))
        joined = self.id(("+", None, None, tuple(sorted((x, h)))))
        if extras:
            joined = self.id(("residual", tuple(extras), (x, *inner)))
        return joined if after is None else self._region(unit, prefix, after, joined, known)

    def _region(self, unit: Unit, prefix: str, region: Region, x: int, known: dict[Value, int]) -> int:
        known[region.input] = x
        self._nodes(unit, prefix, region.nodes, known)
        return known[region.output]

    def _other(
        self, unit: Unit, prefix: str, node: Node, inputs: list[int], known: dict[Value, int]
    ) -> tuple[object, ...]:
        """An operation of any other kind: its name, its plain fields, and what its regions and units compute."""
        told: list[object] = [type(node.op).__name__]
        module = unit.module(node.module) if node.module else None
        for name, value in (*_fields(node.op), *_fields(module)):
            if isinstance(value, Region):
                told.append(self._region(unit, prefix, value, inputs[0], known))
            elif name == "units" and isinstance(value, tuple):
                for i, inner in enumerate(value):
                    told.append(tuple(self.unit(inner, f"{prefix}{node.module}.{i}.", inputs)))
            elif name == "unit" and isinstance(value, Unit):
                told.append(tuple(self.unit(value, f"{prefix}{node.module}.", inputs)))
            elif isinstance(value, LayerModule | UnitModule):
                told.append((name, value.name))
            elif name not in ("span", "name"):
                told.append((name, self.told(value)))
        return tuple(told)

    def _outputs(self, node: Node, what: tuple[object, ...]) -> list[int]:
        whole = self.id(what)
        return [whole, *(self.id(("output", i, whole)) for i in range(1, len(node.outputs)))]


def _kind(value: object) -> object:
    """What a value is, without its figures."""
    return getattr(value, "word", None) or value is None


def _fields(value: object) -> list[tuple[str, object]]:
    if value is None or not is_dataclass(value):
        return []
    return [(field.name, getattr(value, field.name)) for field in fields(value)]
