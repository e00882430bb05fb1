"""`map = ["h.*.mlp.c_fc" -> transpose -> "blocks.*.mlp.fc"]`: what weights are called in a file, and in the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..options import Kind
from ..semantics.evaluate import FAULT, Recipe, Scope
from ..semantics.report import Report
from .base import ReadBy
from .language import Vocabulary
from .modules import ModuleName

CHANGES = Vocabulary(
    "change of a weight",
    frozenset({"transpose", "reshape"}),
    {
        "T": "transpose",
        "t": "transpose",
        "permute": "transpose",
        "flatten": "reshape",
        "squeeze": "reshape",
        "view": "reshape",
    },
    "transpose",
)

_FORM = '`"h.*.ln_1" -> "blocks.*.attn_norm"`: the name in the file, then the name in the model'


class Renamed(Frozen):
    """What is called `old` in the file is `new` in the model, after `changes`, from left to right. One of the two may
    be several, whose rows lie one below the other in the other. A `*` is what stands in its place on both sides."""

    old: tuple[ModuleName, ...]
    changes: tuple[str, ...]
    new: tuple[ModuleName, ...]

    def __str__(self) -> str:
        return " -> ".join([_listed(self.old), *self.changes, _listed(self.new)])

    def as_json(self) -> dict[str, Any]:
        """The form that settings hold."""
        old, new = ([name.text for name in names] for names in (self.old, self.new))
        return {"old": old, "changes": list(self.changes), "new": new}


def _listed(names: Sequence[ModuleName]) -> str:
    return str(names[0]) if len(names) == 1 else f"[{', '.join(map(str, names))}]"


def _read_map(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    own = Report()
    found = [_renamed(entry, own) for entry in _entries(flow, scope)]
    if not found:
        own.error("wrong-value", "`map` takes a list of names", flow.span, "an empty list", help="take it out")
    renamed = tuple(one for one in found if one is not None)
    _check_repeated([old for one in renamed for old in one.old], "of the file", own)
    _check_repeated([new for one in renamed for new in one.new], "of the model", own)
    for diagnostic in own.diagnostics:
        report.add(diagnostic)
    return FAULT if own.failed else renamed


def _entries(flow: tree.Flow, scope: Scope) -> Sequence[tree.Flow | tree.Entry]:
    """Those of a list, or of a constant of the file that is one."""
    match flow:
        case tree.List(entries=entries):
            return entries
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None):
            value = scope.find(name)
            if isinstance(value, tuple):
                return [one.flow if isinstance(one, Recipe) else flow for one in value]
    return (flow,)


Renaming = Annotated[Any, Kind(lambda value: value), ReadBy(_read_map)]
"""A tuple of `Renamed`."""


def _renamed(entry: tree.Flow | tree.Entry, report: Report) -> Renamed | None:
    match entry:
        case tree.Then(stages=(first, *between, last)):
            old, new = _names(first), _names(last)
            if old and new:
                changes = [_change(stage, report) for stage in between]
                fits = _check_several(old, new, between, entry.span, report) and _check_stars(old, new, report)
                kept = tuple(change for change in changes if change is not None)
                return Renamed(old, kept, new) if fits and len(kept) == len(changes) else None
    report.error("wrong-value", "`map` takes a list of names", entry.span, "not of that form", help=f"such as {_FORM}")
    return None


def _names(flow: tree.Flow) -> tuple[ModuleName, ...]:
    """A name in quotes, or a list of such; empty where it is none."""
    listed = flow.entries if isinstance(flow, tree.List) else (flow,)
    found = [ModuleName(one.value, one.span, quoted=True) for one in listed if isinstance(one, tree.String)]
    return tuple(found) if len(found) == len(listed) and all(name.text for name in found) else ()


def _change(stage: tree.Flow, report: Report) -> str | None:
    match stage:
        case tree.Stage(path=tree.Path(parts=(word,)) as path, args=args, body=None):
            if word not in CHANGES.words:
                report.unknown(CHANGES.noun, word, path.span, CHANGES.words, CHANGES.spellings)
                return None
            if args is None:
                return word
            message, help = f"`{word}` takes nothing here: it is that of the model's shape", f"write `{word}`"
            report.error("wrong-value", message, stage.span, "no options", help=help)
            return None
    message = "between the two names stand `transpose` and `reshape`"
    report.error("wrong-value", message, stage.span, "neither of them", help=f"such as {_FORM}")
    return None


def _check_several(
    old: Sequence[ModuleName], new: Sequence[ModuleName], between: Sequence[tree.Flow], place: Span, report: Report
) -> bool:
    if len(old) == 1 and len(new) == 1:
        return True
    if len(old) > 1 and len(new) > 1:
        message = f"{len(old)} names of the file are {len(new)} of the model: which is which is not said"
        help = "write an entry for each, or a list on one side only"
        report.error("conflict", message, place, "several on both sides", help=help)
        return False
    reshaping = next((stage for stage in between if stage.span.text == "reshape"), None)
    if reshaping is not None:
        message = "`reshape` gives a weight the shape that one has in the model, and a list is of several"
        help = "it goes with one name on each side"
        report.error("conflict", message, reshaping.span, "which shape?", help=help)
    return reshaping is None


def _check_stars(old: Sequence[ModuleName], new: Sequence[ModuleName], report: Report) -> bool:
    first, *others = (*old, *new)
    for other in others:
        if other.text.count("*") != first.text.count("*"):
            message = f"`{first.text}` has {first.text.count('*')} `*`, and `{other.text}` has {other.text.count('*')}"
            help = "each `*` stands for the same on both sides"
            report.error("conflict", message, other.span, "not as many", help=help)
            return False
    return True


def _check_repeated(names: Sequence[ModuleName], whose: str, report: Report) -> None:
    first: dict[str, ModuleName] = {}
    for name in names:
        before = first.setdefault(name.text, name)
        if before is not name:
            message, labels = f"`map` has `{name.text}` {whose} twice", ((before.span, "given here first"),)
            report.error("repeated-name", message, name.span, "given again here", labels=labels, help="take one out")
