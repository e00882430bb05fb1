"""What a recipe starts from in place of weights that are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from ...grammar import tree
from ..options import Kind
from ..semantics.evaluate import FAULT, Scope
from ..semantics.report import Report
from .base import Options, ReadBy
from .modules import ModuleName, read_modules


@dataclass(frozen=True)
class Renamed:
    """`"h.*.ln_1" -> "blocks.*.attn_norm"`: what is called `old` in the file is `new` in the model. A `*` is what
    stands in its place, from the left to the right."""

    old: str
    new: ModuleName


def _read_map(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    entries = flow.entries if isinstance(flow, tree.List) else (flow,)
    found = [_renamed(entry, report) for entry in entries]
    return FAULT if None in found or not found else tuple(found)


def _renamed(entry: tree.Flow | tree.Entry, report: Report) -> Renamed | None:
    match entry:
        case tree.Then(stages=(tree.String(value=old), tree.String(value=new, span=place))) if old and new:
            if old.count("*") == new.count("*"):
                return Renamed(old, ModuleName(new, place, quoted=True))
            message = f"`{old}` has {old.count('*')} `*`, and `{new}` has {new.count('*')}"
            report.error("conflict", message, place, "not as many", help="each `*` stands for the same on both sides")
            return None
    help = 'such as `["h.*.ln_1" -> "blocks.*.attn_norm"]`: the name in the file, then the name in the model'
    report.error("wrong-value", "`map` takes a list of names", entry.span, "not of that form", help=help)
    return None


def _read_skip(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    modules = read_modules(flow, name, report)
    return FAULT if modules is None else modules


Renaming = Annotated[Any, Kind(lambda value: value), ReadBy(_read_map)]
Skipped = Annotated[Any, Kind(lambda value: value), ReadBy(_read_skip)]


class Start(Options):
    """`map` names what is called otherwise in the file, `skip` what is not taken from it."""

    if TYPE_CHECKING:  # each class declares them itself, behind where it starts from
        map: Any
        skip: Any

    def modules(self) -> Iterator[ModuleName]:
        """The names that have to be those of modules, or of weights of modules."""
        yield from self.skip
        for renamed in self.map:
            yield _without_weight(renamed.new)


def _without_weight(name: ModuleName) -> ModuleName:
    return ModuleName(name.text.removesuffix(".weight").removesuffix(".bias"), name.span, name.quoted)
