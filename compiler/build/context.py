"""Where a flow is being placed: the unit that gets its modules, the names in sight, the nodes so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...grammar import tree
from ...grammar.source import Span
from ..ir.graph import Module, Node, Op, Value
from ..semantics.number import Number
from ..semantics.report import Report
from ..semantics.tensor import UNKNOWN, Type
from .draft import UnitDraft
from .env import Env, OpenFlow

Flowing: TypeAlias = "Value | Number | tuple[Value, ...]"
"""What a flow gives: a value, a constant, or several values."""


@dataclass(frozen=True, eq=False)
class Context:
    """`hint` is the name that the next module takes; `site` the place on the page it belongs to, where that is not its
    own (the norm of a `default residual` belongs to the residual). `opened` is the open flow being run.
    """

    report: Report
    unit: UnitDraft
    env: Env
    nodes: list[Node] = field(default_factory=list)
    hint: str | None = None
    site: int | None = None
    opened: OpenFlow | None = None

    def within(self, **changes: object) -> Context:
        return replace(self, **changes)  # type: ignore[arg-type]

    def emit(
        self, op: Op, inputs: tuple[Value, ...], types: tuple[Type, ...], span: Span, module: str | None = None
    ) -> tuple[Value, ...]:
        """Append a node; returns its outputs."""
        taken = tuple(self.unit.take(value) for value in inputs)
        self.unit.consumed.update(taken)
        outputs = tuple(self.unit.own(Value(t)) for t in types)
        self.nodes.append(Node(op, taken, outputs, span, module))
        return outputs

    def unknown(self) -> Value:
        """The value of what was already reported."""
        return self.unit.own(Value(UNKNOWN))

    def place(self, span: Span) -> int:
        return span.start if self.site is None else self.site

    def made_before(self, node: tree.Node) -> str | None:
        """The module that this place of an open flow made at its first use."""
        return None if self.opened is None else self.opened.made.get(id(node))

    def make(self, module: Module, node: tree.Node) -> str:
        self.unit.add(module, self.place(node.span))
        if self.opened is not None:
            self.opened.made[id(node)] = module.name
        return module.name
