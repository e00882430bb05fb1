"""The statements of a `forward` while they are written: its lines, and the variables that hold what flows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

from ...ir.graph import Node, Unit, Value, all_nodes
from ...ir.reads import named_values, uses
from ...layers.base import Code
from ...scalars.expression import ScalarFunction
from ...semantics.number import Number
from ...semantics.tensor import Tensor
from .expression import Expression
from .lending import Lent, module_text
from .names import FRESH, numbered_names, safe_name


class ForwardText(Code, Protocol):
    """What a `forward` asks of its file, besides what its layers do."""

    def function(self, function: ScalarFunction, tensors: Sequence[str]) -> str:
        """Put a function of the spec into the file, for these parameters as tensors; returns its name there."""
        ...


class Statements(ABC):
    """Those of one unit. `names` are the arguments of its `forward`, `lent` the modules that it is handed.

    A value is `known` by an expression until it is in a variable; `left` counts how often it is still to be read.
    """

    def __init__(self, unit: Unit, names: dict[Value, str], lent: dict[Lent, str], code: ForwardText) -> None:
        self.unit, self.lent, self.code = unit, lent, code
        self.lines: list[str] = []
        self.given = set(map(safe_name, named_values(unit)))
        self.left = uses(unit)
        self.discards = any(self.left[v] == 0 for n in all_nodes(unit.nodes) if len(n.outputs) > 1 for v in n.outputs)
        """Whether `_` is a tensor somewhere: TorchScript has no variable of two types, and a loop's is a number."""
        self.known: dict[Value, Expression] = {v: Expression(n, frozenset({n})) for v, n in names.items()}
        self.holders: dict[str, Value] = {n: v for v, n in names.items()}

    @abstractmethod
    def write(self, nodes: Iterable[Node]) -> None:
        """Add the lines of these nodes: of the unit's, or of a flow inside an operation."""

    def take(self, value: Value) -> Expression:
        """The expression of a value, one use of it spent."""
        self.left[value] -= 1
        return self.known[value]

    def bind(self, value: Value, expression: Expression, source: Value | None = None) -> Expression:
        """Put an expression into a variable."""
        name = self.free(value)
        rank_changes = isinstance(value.type, Tensor) and source is not None and isinstance(source.type, Tensor)
        comment = ""
        if rank_changes and value.type.rank != source.type.rank:  # type: ignore[union-attr]
            comment = f"  # {str(value.type).removeprefix('int').removeprefix('bool')}"
        self.lines.append(f"{name} = {expression.text}{comment}")
        return self.hold(value, name)

    def hold(self, value: Value, name: str) -> Expression:
        """Know a value by the variable that a line has put it into."""
        held = Expression(name, frozenset({name}))
        self.known[value] = held
        self.holders[name] = value
        return held

    def free(self, value: Value) -> str:
        """A variable for a value: the name it was given, else the first that holds nothing still needed."""
        if value.name is not None:
            name = safe_name(value.name)
            if name not in self.needed(value):
                return name
        needed = self.needed(value) | self.given
        number = 1
        while True:
            for stem in FRESH:
                name = stem if number == 1 else f"{stem}{number}"
                if name not in needed:
                    return name
            number += 1

    def loop_variable(self, stem: str) -> str:
        """A name that nothing else in this `forward` has."""
        return next(name for name in numbered_names(stem) if name not in self.given | self.holders.keys())

    def needed(self, besides: Value) -> set[str]:
        """The variables that something yet unwritten reads, other than the value that is about to be written."""
        for value in [v for v in self.known if self.left[v] <= 0 and v is not besides]:
            del self.known[value]
        return {n for v, known in self.known.items() if v is not besides for n in known.reads}

    def operand(self, value: Value, *, alone: bool) -> Expression:
        return self.operands([value], [alone])[0]

    def operands(self, values: Sequence[Value], alone: Sequence[bool]) -> list[Expression]:
        """What a node reads. `alone`: a module takes a variable, so that each step stands on a line of its own.

        All are still needed while one of them gets its variable.
        """
        for value, by_itself in zip(values, alone, strict=True):
            known = self.known[value]
            if by_itself and not known.is_name:
                self.bind(value, known, self._source(value, known))
        found = [self.known[value] for value in values]
        self.left.subtract(values)
        return found

    def _source(self, value: Value, known: Expression) -> Value | None:
        """The variable that an expression is made of, for the comment on its shape: one of its rank if there is."""
        holders = [self.holders[name] for name in sorted(known.reads) if name in self.holders]
        ranks = {holder: holder.type.rank for holder in holders if isinstance(holder.type, Tensor)}
        same = (h for h, rank in ranks.items() if isinstance(value.type, Tensor) and rank == value.type.rank)
        return next(same, next(iter(holders), None))

    def module_text(self, node: Node) -> str:
        """The module that a node runs as it is called, empty for a function."""
        return module_text(self.unit, node.module, self.lent) if node.module else ""

    def number(self, n: Number) -> Expression:
        return Expression(self.code.number(n))
