"""What a recipe starts from in place of weights that are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ...grammar import tree
from ..options import Kind
from ..semantics.evaluate import FAULT, Scope
from ..semantics.report import Report
from .base import Options, ReadBy
from .modules import ModuleName, check_modules, read_modules
from .ports import Ports


def _read_skip(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    modules = read_modules(flow, name, report)
    return FAULT if modules is None else modules


def _read_into(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    match flow:
        case tree.Stage(path=path, args=None, body=None):
            return ModuleName(str(path), flow.span)
    message, help = "`into` takes one module of the model", "such as `bert`, or a path such as `blocks.0`"
    report.error("wrong-value", message, flow.span, "not the name of one", help=help)
    return FAULT


Skipped = Annotated[Any, Kind(lambda value: value), ReadBy(_read_skip)]
"""A tuple of names."""
Into = Annotated[Any, Kind(lambda value: value), ReadBy(_read_into)]
"""A name, or None where it is left out."""


class Start(Options):
    """`map` names what is called otherwise in the file, `skip` what is not taken, `into` the module that it is for."""

    source: ClassVar[str]
    """The option that says where the weights are."""

    if TYPE_CHECKING:  # each class declares them itself, behind where it starts from
        map: Any
        skip: Any
        into: Any

    def modules(self) -> Iterator[ModuleName]:
        """The names that have to be those of modules, or of weights of modules. What is skipped by a pattern may be the
        file's, which is read later."""
        yield from (name for name in self.skip if not name.quoted)
        for renamed in self.map:
            yield from map(_without_weight, renamed.new)

    def fits(self, ports: Ports, report: Report) -> bool:
        """Whether the model has what is named; what it has not is reported."""
        if self.into is None:
            return check_modules(self.modules(), "start", ports, report)
        return check_modules([self.into], "start", ports, report) and check_modules(
            self.modules(), "start", _inside(ports, self.into.text), report
        )

    def settings(self) -> dict[str, Any]:
        """What the runtime is told."""
        return {
            "word": self.word,
            "source": getattr(self, self.source),
            "map": [renamed.as_json() for renamed in self.map],
            "skip": [{"name": name.text, "pattern": name.quoted} for name in self.skip],
            "into": None if self.into is None else self.into.text,
        }


def _inside(ports: Ports, module: str) -> Ports:
    """The model as it is seen from one of its modules."""

    def below(names: frozenset[str]) -> frozenset[str]:
        return frozenset(name.removeprefix(f"{module}.") for name in names if name.startswith(f"{module}."))

    modules = None if ports.modules is None else below(ports.modules)
    return replace(ports, model=module, modules=modules, made=below(ports.made), unmade=below(ports.unmade))


def _without_weight(name: ModuleName) -> ModuleName:
    return ModuleName(name.text.removesuffix(".weight").removesuffix(".bias"), name.span, name.quoted)
