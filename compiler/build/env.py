"""What names stand for inside a body."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.evaluate import NONE, Recipe, Scope, is_number
from ..semantics.language import is_library
from ..semantics.number import Reference
from ..semantics.resolve import FileScope
from .arguments import show_value
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
    number: int
    """How many names its body had before."""
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
        self.given: int | None = None
        """How many names the body has as it is seen here; None where all are."""
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
            self.bound[name] = Bound(value, span, len(self.bound), must_be_used=must_be_used, origin=origin)
        return before

    def so_far(self) -> Env:
        """This body as it is seen from here, by a flow that is run later: where a name of it that is given from here
        on stands for something already, that is meant."""
        seen = Env(self.parent, self.file)
        seen.bound, seen.labels, seen.defaults = self.bound, self.labels, self.defaults
        seen.inside_library, seen.given = self.inside_library, len(self.bound)
        return seen

    def lookup(self, name: str) -> object | None:
        """What the name stands for here: the body's own, then those around it, then the file's."""
        bound = self.bound_to(name)
        if bound is None:
            return self.file.find(name)
        bound.used = True
        return bound.what

    def bound_to(self, name: str) -> Bound | None:
        """What has the name in this body or one around it; None where it is the file's, or a label or library word
        that is meant before a name that is given later."""
        later: Bound | None = None
        env: Env | None = self
        while env is not None:
            bound = env.bound.get(name)
            if bound is not None:
                if env.given is None or bound.number < env.given:
                    return bound
                later = later or bound
            env = env.parent
        return later if later is not None and not self._stands_outside(name) else None

    def _stands_outside(self, name: str) -> bool:
        """Whether a name stands for something that no body binds."""
        file = self.file
        return name in file.constants or name in file.flows() or self.label(name) is not None or is_library(name)

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
        bound = scope.bound_to(name) if isinstance(scope, Env) else None
        if bound is None:
            file = scope.file if isinstance(scope, Env) else scope
            constant = file.constants.get(name) if isinstance(file, FileScope) else None
            if constant is not None and (alone or not is_number(scope.find(name))):
                return ((constant.value.span, f"`{name}` is this"),)
        elif bound.origin is not None and (alone or not is_number(bound.what)):
            written, around = bound.origin
            return origins(written, around) or ((written.span, f"`{name}` is given this"),)
    return ()


def blamed(value: object, flow: tree.Flow, scope: Scope) -> tuple[Span, str, tuple[tuple[Span, str], ...]]:
    """Where a wrong value is to be mended, what it is, and labels for the rest: what a call hands to a block stands in
    the call."""
    handed = _handed(flow, scope)
    if handed is None:
        return flow.span, f"this is {show_value(value)}", origins(flow, scope)
    while isinstance(value, Reference) and value.kind == "parameter":
        value = value.target  # what the block calls it is of no use there
    return handed.span, f"this is {show_value(value)}", ((flow.span, "used here"),)


def _handed(flow: tree.Flow, scope: Scope) -> tree.Flow | None:
    """What was given for the parameter that a flow is; None where it is none, or leads on to a constant."""
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if isinstance(scope, Env):
            bound = scope.bound_to(name)
        case _:
            return None
    if bound is None or bound.origin is None:
        return None
    written, around = bound.origin
    further = _handed(written, around)
    return written if further is None and not origins(written, around) else further


def env_of(recipe: Recipe) -> Env:
    """The names a recipe was written among: those of a body, or only the file's."""
    return recipe.scope if isinstance(recipe.scope, Env) else Env(None, recipe.scope)
