"""A unit while it is being built: its modules get their names, and values from around it are passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...grammar import tree
from ...grammar.source import Span
from ..ir.graph import Borrowed, Copies, Experts, Module, Node, Unit, UnitModule, Value, layer_around, unfolded
from .unfolding import Unfolding


@dataclass(eq=False)
class UnitDraft:
    """`labels` are those written in its body, which no unlabelled module may take; `left` are values that a line left
    behind, with the line, until something is seen to use them; `named` are those that have a name, so that anything
    may use them; `unmade` are the names of modules that an error kept from being made, `attn.fc` of one inside `attn`,
    without the numbers of copies; `empty` those of a `repeat` that makes no copies; `labelled` are the labels entered
    so far, of all bodies that add no level, and where."""

    kind: Literal["model", "block", "group", "copy"]
    name: str
    span: Span
    parent: UnitDraft | None
    labels: frozenset[str]
    scope: object = field(default_factory=object)
    inputs: list[Value] = field(default_factory=list)
    captured: list[tuple[Value, Value]] = field(default_factory=list)
    modules: list[tuple[tuple[int, int], Module]] = field(default_factory=list)
    unfolded: int = 0
    values: set[Value] = field(default_factory=set)
    consumed: set[Value] = field(default_factory=set)
    left: list[tuple[Value, Span]] = field(default_factory=list)
    named: set[Value] = field(default_factory=set)
    unmade: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    labelled: dict[str, Span] = field(default_factory=dict)
    _by_name: dict[str, Module] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _beside: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    _builders: dict[str, Any] = field(default_factory=dict)
    _results: dict[str, type[tuple[Value, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.unfolding = Unfolding() if self.parent is None else self.parent.unfolding

    def own(self, value: Value) -> Value:
        """Note that this unit produces the value."""
        self.values.add(value)
        return value

    def take(self, value: Value) -> Value:
        """The value as it is seen in this unit: what lives around it becomes one more input."""
        if value in self.values or self.parent is None:
            return value
        for inner, outer in self.captured:
            if outer is value:
                return inner
        inner = self.own(Value(value.type, value.name))
        self.captured.append((inner, value))
        return inner

    def captures(self) -> list[Value]:
        """What the unit around this one has to hand in, in that unit's own values."""
        assert self.parent is not None
        return [self.parent.take(outer) for _, outer in self.captured]

    def free_name(self, stem: str) -> str:
        """`linear`, then `linear_2`, ...: numbered down the page, past labels and what is taken."""
        if not self._taken(stem):
            return stem
        number = self._numbers.get(stem, 2)
        while self._taken(f"{stem}_{number}"):
            number += 1
        self._numbers[stem] = number
        return f"{stem}_{number}"

    def _taken(self, name: str) -> bool:
        return name in self.labels or name in self._by_name or name in self.unmade

    def find(self, name: str) -> Module | None:
        """A module by its name; what is borrowed is the other unit's own."""
        found = self._by_name.get(name)
        return found.module if isinstance(found, Borrowed) else found

    def descend(self, path: Sequence[str]) -> Module | None:
        """The module that a path leads to, `("blocks", "0", "attn")`, through blocks, groups and copies."""
        module, rest = step(self.find, list(path))
        while rest and module is not None:
            match module:
                case UnitModule(unit=unit):
                    inside = unit
                case Copies(units=units) | Experts(units=units):
                    if isinstance(module, Experts) and rest.pop(0) != "experts":
                        return None
                    position = rest.pop(0) if rest else ""
                    if not position.isdecimal() or int(position) >= len(units):
                        return None
                    inside = units[int(position)]
                    if not rest:
                        return UnitModule(position, inside, module.span)
                case _:
                    return None
            module, rest = step({m.name: inside.module(m.name) for m in inside.modules}.get, rest)
        return module

    def levels_up_to(self, unit: UnitDraft) -> int:
        """How many units further out `unit` lies; 0 for this one."""
        levels, draft = 0, self
        while draft is not unit:
            assert draft.parent is not None
            draft, levels = draft.parent, levels + 1
        return levels

    def beside(self, name: str) -> tuple[Value, ...]:
        """The side inputs that a module got where it was made: used again by its label it gets the same."""
        return self._beside.get(name, ())

    def remember(self, name: str, build: Any, results: type[tuple[Value, ...]] = tuple) -> None:
        """Keep what builds a module's unit (`blocks.Build`) and how its outputs flow on, for another use of it."""
        self._builders[name] = build
        self._results[name] = results

    def remember_inside(self, name: str, draft: UnitDraft) -> None:
        """Keep of the unit of the module `name` what could not be made there, and how outputs flow on from what was:
        a path leads inside."""
        self.unmade.update(f"{name}.{inner}" for inner in draft.unmade)
        whole = {inner: kind for inner, kind in draft._results.items() if kind is not tuple}
        self._results.update({f"{name}.{inner}": kind for inner, kind in whole.items()})

    def results(self, path: Sequence[str]) -> type[tuple[Value, ...]]:
        """How several outputs of the module that a path leads to flow on: all copies are alike in that."""
        return self._results.get(".".join(part for part in path if not part.isdecimal()), tuple)

    def builder(self, name: str) -> Any | None:
        return self._builders.get(name)

    def add(self, module: Module, site: int, sides: tuple[Value, ...] = ()) -> None:
        """`site` is the place on the page where the module belongs: weights are drawn in that order."""
        self.modules.append(((site, len(self.modules)), module))
        self.unfolded += unfolded(module)
        self._by_name[module.name] = module
        self._beside[module.name] = sides

    def close(self, outputs: tuple[Value, ...], nodes: list[Node]) -> Unit:
        self.consumed.update(outputs)
        in_order = sorted(self.modules, key=lambda entry: entry[0])
        return Unit(
            kind=self.kind,
            name=self.name,
            inputs=(*self.inputs, *(inner for inner, _ in self.captured)),
            outputs=outputs,
            nodes=tuple(nodes),
            modules=_layers_first([module for _, module in in_order]),
            span=self.span,
            scope=self.scope,
        )


def step(find: Callable[[str], Module | None], path: list[str]) -> tuple[Module | None, list[str]]:
    """The module that a path begins with, and the rest: `attn.bias` is one that lies inside the layer `attn`."""
    for end in range(len(path), 0, -1):
        module = find(".".join(path[:end]))
        if module is not None:
            return module, path[end:]
    return None, []


def _layers_first(modules: Sequence[Module]) -> tuple[Module, ...]:
    """Each layer before the modules that were made in its arguments, `attn` before `attn.bias`."""
    made_in: dict[str, list[Module]] = {}
    for module in modules:
        made_in.setdefault(layer_around(module), []).append(module)

    def below(layer: str) -> Iterator[Module]:
        for module in made_in.pop(layer, ()):
            yield module
            yield from below(module.name)

    ordered = list(below(""))
    # What is left lies in a layer that has a fault, which is told where it stands.
    return (*ordered, *(module for inside in made_in.values() for module in inside))


_COPIES = (("repeat",), ("experts",))
"""What makes units of its body."""


def labels_in(node: tree.Node | tuple | None) -> frozenset[str]:
    """The labels that name modules of this very unit: those in its text, less what lies in a unit inside it."""
    found: set[str] = set()
    _labels(node, found)
    return frozenset(found)


def _labels(node: object, found: set[str]) -> None:
    match node:
        case tree.Label(name=name, target=target):
            found.add(name.text)
            if isinstance(target, tree.Stage) and target.path.parts not in _COPIES:
                _labels(target.args, found)
        case tree.Stage(path=path, args=args, body=body):
            _labels(args, found)
            if path.parts not in _COPIES:
                _labels(body, found)
        case tree.Node():
            for name in node.__dataclass_fields__:
                if name != "span":
                    _labels(getattr(node, name), found)
        case tuple():
            for item in node:
                _labels(item, found)
