"""What names stand for inside a body."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.evaluate import NONE, Recipe, Scope, is_number
from ..semantics.resolve import FileScope
from .draft import UnitDraft


@dataclass(eq=False)
class OpenFlow:
    """`name = flow` that takes the running value: its modules are made once, at its first use, in `unit`."""

    flow: tree.Flow
    env: Env
    unit: UnitDraft
    made: dict[int, str] = field(default_factory=dict)
    has_unmade: bool = False
    """Whether an error kept one of its modules from being made."""


class Labelled(Frozen, eq=False):
    """A label, used again as a stage: that module of that unit again."""

    module: str
    unit: UnitDraft


@dataclass(eq=False)
class Bound:
    """A name in a body: what it stands for, where it was given, and whether anything has used it."""

    what: Any
    span: Span
    used: bool = False
    must_be_used: bool = False
    origin: tuple[tree.Flow, Scope] | None = None
    """Of a parameter: what the caller wrote for it, and where the caller's names are looked up."""


class Env:
    """Names of one body, over those of the bodies around it, over the file's.

    A block's body has the file for its parent: it sees nothing of its caller.
    """

    def __init__(self, parent: Env | None, file: FileScope) -> None:
        self.parent, self.file = parent, file
        self.bound: dict[str, Bound] = {}
        self.labels: dict[str, tuple[Labelled, Span]] = {}
        self.defaults: list[tree.Default] = []
        self.inside_library = False
        """Whether what is placed here belongs to a combinator of the library, which `default` lines do not reach."""

    def give(
        self,
        name: str,
        what: Any,
        span: Span,
        *,
        must_be_used: bool = False,
        origin: tuple[tree.Flow, Scope] | None = None,
    ) -> Bound | None:
        """Enter a name; returns what had it in this body before, if anything had."""
        before = self.bound.get(name)
        if before is None:
            value = NONE if what is None else what
            self.bound[name] = Bound(value, span, must_be_used=must_be_used, origin=origin)
        return before

    def lookup(self, name: str) -> object | None:
        """What the name stands for here: the body's own, then those around it, then the file's."""
        env: Env | None = self
        while env is not None:
            if name in env.bound:
                env.bound[name].used = True
                return env.bound[name].what
            env = env.parent
        return self.file.find(name)

    def label(self, name: str) -> Labelled | None:
        env: Env | None = self
        while env is not None:
            if name in env.labels:
                return env.labels[name][0]
            env = env.parent
        return None

    def find(self, name: str) -> object | None:
        """For working out numbers: what flows or is labelled is no number, and is told apart by the caller."""
        found = self.lookup(name)
        return self.label(name) if found is None else found

    def labels_in_sight(self) -> Iterator[str]:
        env: Env | None = self
        while env is not None:
            yield from env.labels
            env = env.parent

    def names(self) -> Iterable[str]:
        env: Env | None = self
        while env is not None:
            yield from env.bound
            yield from env.labels
            env = env.parent
        yield from self.file.names()

    def flows(self) -> Container[str]:
        return self.file.flows()

    def unused(self) -> Iterator[tuple[str, Bound]]:
        for name, bound in self.bound.items():
            if bound.must_be_used and not bound.used:
                yield name, bound


def origins(flow: tree.Flow, scope: Scope) -> tuple[tuple[Span, str], ...]:
    """Labels for a wrong value that a flow names: where a caller wrote it, or the constant that holds it.

    In an expression the name is meant that is no number, since numbers would have done.
    """
    alone = isinstance(flow, tree.Stage) and flow.args is None and flow.body is None
    for node in tree.walk(flow):
        if not isinstance(node, tree.Stage) or node.args is not None or len(node.path.parts) != 1:
            continue
        name = node.path.parts[0]
        bound = _bound(name, scope)
        if bound is None:
            file = scope.file if isinstance(scope, Env) else scope
            constant = file.constants.get(name) if isinstance(file, FileScope) else None
            if constant is not None and (alone or not is_number(scope.find(name))):
                return ((constant.value.span, f"`{name}` is this"),)
        elif bound.origin is not None and (alone or not is_number(bound.what)):
            written, around = bound.origin
            return origins(written, around) or ((written.span, f"`{name}` is given this"),)
    return ()


def _bound(name: str, scope: Scope) -> Bound | None:
    env = scope if isinstance(scope, Env) else None
    while env is not None:
        if name in env.bound:
            return env.bound[name]
        env = env.parent
    return None


def env_of(recipe: Recipe) -> Env:
    """The names a recipe was written among: those of a body, or only the file's."""
    return recipe.scope if isinstance(recipe.scope, Env) else Env(None, recipe.scope)
