"""Where a flow is being placed: the unit that gets its modules, the names in sight, the nodes so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field, replace
from itertools import chain, count, groupby
from typing import TypeAlias

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..ir.graph import Borrowed, Copies, Experts, LayerModule, Node, Op, Unit, UnitModule, Value
from ..semantics.number import Number
from ..semantics.report import Report
from ..semantics.tensor import UNKNOWN, Type, seen_outside
from .circles import ENDLESS_HELP
from .draft import UnitDraft
from .env import Env, Labelled, OpenFlow
from .labels import free_stem
from .untried import Untried


class Branches(tuple[Value, ...]):
    """Several values that flow on whole, from a list or `split`: into `concat`, or into names."""

    __slots__ = ()

    @property
    def would_lose(self) -> bool:
        """Whether values are lost where only the first of them flows on."""
        return len(self) > 1


class NamedBranches(Branches):
    """Such values behind `as a, _`: each has a name or was left out, so none is lost where only the first flows on."""

    __slots__ = ()

    @property
    def would_lose(self) -> bool:
        return False


Flowing: TypeAlias = "Value | Number | tuple[Value, ...]"
"""What a flow gives: a value, a constant, or several values."""


class Inside(Frozen):
    """The layer whose arguments are being read: what they make lies inside it. `labels` are those written in them."""

    layer: str
    labels: frozenset[str]


class Opened(Frozen, eq=False):
    """What is being run under its name, and what led to it: an open flow, a label, or a recipe of a scope. Of a block
    only the name is kept, for the same block may lie in itself as an argument."""

    name: str
    what: object
    scope: object
    around: Opened | None


class Context(Frozen, eq=False):
    """`hint` is the name that the next module takes; `site` the place on the page it belongs to, where that is not its
    own (the norm of a `default residual` belongs to the residual). `opened` is the open flow being run; `depth` how
    many copies the enclosing `repeat` makes; `untried` is told of calls of blocks, and is None where one is only tried.
    `way` is what led here; `endless` has what was seen to lead back to itself, with the report that was told. `alone`
    says that a block is looked at without those that it calls.
    """

    report: Report
    unit: UnitDraft
    env: Env
    nodes: list[Node] = field(default_factory=list)
    hint: str | None = None
    site: int | None = None
    opened: OpenFlow | None = None
    depth: Number | None = None
    inside: Inside | None = None
    untried: Untried | None = None
    way: Opened | None = None
    endless: list[tuple[Report, object, object]] = field(default_factory=list)
    alone: bool = False

    def within(self, **changes: object) -> Context:
        return replace(self, **changes)  # type: ignore[arg-type]

    # --- what is being run under its name ---

    def opening(
        self, name: str, what: object, span: Span, scope: object = None, labels: tuple[tuple[Span, str], ...] = ()
    ) -> Context | None:
        """The context inside what `name` opens at `span`; None where that leads back to itself (reported, with
        `labels` for what leads there)."""
        if self.leads_back(name, what, span, scope, labels):
            return None
        return self.within(way=Opened(name, what, scope, self.way))

    def leads_back(
        self, name: str, what: object, span: Span, scope: object = None, labels: tuple[tuple[Span, str], ...] = ()
    ) -> bool:
        """Whether what `name` stands for is being run already (reported at `span`, once for each circle)."""
        for report, known, where in self.endless:
            if known is what and where is scope and report is self.report:
                return True
        circle: list[Opened] = []
        step = self.way
        while step is not None:
            circle.append(step)
            if step.what is what and step.scope is scope:
                self._endless(name, circle[::-1], span, labels)
                return True
            step = step.around
        return False

    def _endless(self, name: str, circle: list[Opened], span: Span, labels: tuple[tuple[Span, str], ...]) -> None:
        first = circle[0].name
        # A block that is handed over is opened twice: as what was handed over, and as a block.
        way = [*(name for name, _ in groupby(step.name for step in circle)), name]
        if name.partition(".")[0] != first:
            way.append(first)
        self.endless.extend((self.report, step.what, step.scope) for step in circle if step.what is not None)
        message = f"`{first}` leads back to itself: {' -> '.join(way)}"
        help = ENDLESS_HELP
        if isinstance(circle[0].what, Labelled):
            help = f"what is labelled `{first}` can be used again behind its end; {help}"
        self.report.error("endless-flow", message, span, "leads back here", help=help, labels=labels)

    def emit(
        self, op: Op, inputs: Iterable[Value], types: tuple[Type, ...], span: Span, module: str | None = None
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

    def has_room(self, flow: tree.Flow, call: Span) -> bool:
        """Whether a call may place a flow, in a model that is not too large yet (reported)."""
        outermost, unit = call, self.unit
        while unit.parent is not None:
            outermost, unit = unit.scope if isinstance(unit.scope, Span) else outermost, unit.parent
        return self.unit.unfolding.has_room(flow, call, outermost, self.report)

    # --- modules ---

    @property
    def owner(self) -> UnitDraft:
        """The unit that gets the modules made here: that of the body where an open flow's `=` stands."""
        return self.unit if self.opened is None else self.opened.unit

    def module_name(self, stem: str) -> str:
        """The name of the next module: the hint where it is free, else after the stem."""
        if self.hint is not None and self.owner.find(self.full_name(self.hint)) is None:
            return self.full_name(self.hint)
        return self.full_name(self.free_name(stem))

    def full_name(self, name: str) -> str:
        """The name of a module in its unit: `attn.bias` of a `bias` that is made in an argument of `attn`."""
        return name if self.inside is None else f"{self.inside.layer}.{name}"

    def free_name(self, stem: str) -> str:
        """`linear`, then `linear_2`, ...: what is free in the unit, or in the layer whose argument this is."""
        stem = free_stem(stem)
        if self.inside is None:
            return self.owner.free_name(stem)
        names = chain([stem], (f"{stem}_{number}" for number in count(2)))
        taken = self.inside.labels
        return next(name for name in names if name not in taken and self.owner.find(self.full_name(name)) is None)

    def made_before(self, node: tree.Node) -> str | None:
        """The module that this place of an open flow made at its first use, under its name in this unit."""
        name = None if self.opened is None else self.opened.made.get(id(node))
        return None if name is None else self._seen_here(name, node.span)

    def make(self, module: LayerModule | UnitModule | Copies | Experts, node: tree.Node, sides: Iterable[Value]) -> str:
        """Enter a module into its unit; returns its name in the unit that runs it. `sides` are its further inputs."""
        self.owner.add(module, self.place(node.span), tuple(sides))
        self.unit.unfolding.check_units(self.owner.unfolded, called(node), self.report)
        if self.opened is not None:
            self.opened.made[id(node)] = module.name
        return self._seen_here(module.name, node.span)

    def leave_unmade(self, name: str) -> None:
        """Note a module that an error kept from being made: what asks for it later is no second error."""
        self.owner.unmade.add(name)
        if self.opened is not None:
            self.opened.has_unmade = True

    def _seen_here(self, name: str, span: Span) -> str:
        return name if self.owner is self.unit else self.borrow(self.owner, (name,), span, self.owner.beside(name))

    def borrow(self, unit: UnitDraft, path: tuple[str, ...], span: Span, beside: tuple[Value, ...] = ()) -> str:
        """The name under which this unit's nodes run a module of another: one around it, or one inside that. `beside`
        is what it takes besides what comes in."""
        up = self.unit.levels_up_to(unit)
        name = "^" * up + ".".join(path)
        if self.unit.find(name) is None:
            module = unit.descend(path)
            assert module is not None and not isinstance(module, Borrowed)
            levels = tuple(".".join(path).split("."))
            self.unit.add(Borrowed(name, module, levels, up, span), self.place(span), beside)
        return name

    def outward(self, type_: Type) -> Type:
        """A type of this unit in the terms of the one that owns what is made here."""
        unit = self.unit
        while unit is not self.owner and unit.parent is not None:
            type_ = seen_outside(type_, unit.scope)
            unit = unit.parent
        return type_


def called(node: tree.Node) -> Span:
    """The place of a call, without its body: of a label that of its name."""
    match node:
        case tree.Label(name=name):
            return name.span
        case tree.Stage(path=path, body=tree.Body()):
            return path.span
    return node.span


class Placed(Frozen, eq=False):
    """Units that were built, one after the other (a block or group is one), the last one's draft, what the unit
    around hands in by name, the values of further inputs, and how several outputs flow on: `Branches` whole."""

    units: tuple[Unit, ...]
    draft: UnitDraft
    beside: tuple[Value, ...] = ()
    results: type[tuple[Value, ...]] = tuple

    @property
    def types(self) -> tuple[Type, ...]:
        """What comes out, in the terms of the unit around."""
        return tuple(seen_outside(o.type, self.draft.scope) for o in self.units[-1].outputs)


Build: TypeAlias = "Callable[[Value, Context], Placed | None]"
"""What builds units on the value that comes by the arrow: once more where a module is used on another shape."""
