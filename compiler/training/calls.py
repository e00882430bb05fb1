"""`word(options)` in a `train` or `export` section becomes an option class with its options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Generic, TypeVar

from ...grammar import Source, parse, tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..build.arguments import given_arguments, read_options
from ..semantics.evaluate import Recipe, Scope
from ..semantics.language import OPTION_SPELLINGS
from ..semantics.nearest import nearest
from ..semantics.report import Report, Unheard
from . import registry
from .base import Options, ReadBy
from .language import Vocabulary
from .plain import plain_options

Kind = TypeVar("Kind", bound=Options)


class Chosen(Frozen, Generic[Kind]):
    """Options that were read, where the call stands, and where each option that was written does."""

    options: Kind
    span: Span
    spans: Mapping[str, Span] = field(default_factory=dict)

    def place(self, option: str | None) -> Span:
        """Where an option was written; the whole call where it was left out."""
        return self.spans.get(option or "", self.span)

    def as_json(self) -> dict[str, Any]:
        """The form that settings hold."""
        return {"word": self.options.word, "options": plain_options(self.options)}


def resolved(flow: tree.Flow, scope: Scope) -> tuple[tree.Flow, Scope]:
    """The flow that a bare name stands for, where the file has given it one."""
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None):
            found = scope.find(name)
            if isinstance(found, Recipe):
                return resolved(found.flow, found.scope)
    return flow, scope


def word_of(flow: tree.Flow) -> tree.Stage | None:
    """The call `word` or `word(...)`, or None for any other flow."""
    match flow:
        case tree.Stage(path=tree.Path(parts=(_,)), body=None):
            return flow
    return None


def choose(
    flow: tree.Flow,
    key: str,
    folder: str,
    kind: type[Kind],
    vocabulary: Vocabulary,
    scope: Scope,
    report: Report,
) -> tuple[type[Kind], tree.Stage, Scope] | None:
    """The class that a flow names, its call, and where names of the call are looked up; None where it names none
    (reported).

    A word that is misspelt is reported, and stands for the one that was meant: what is wrong in its call is told too.
    """
    flow, scope = resolved(flow, scope)
    stage = word_of(flow)
    if stage is None:
        label, help = f"not {vocabulary.one}", f"such as `{vocabulary.example}`"
        if key == "data":
            from .written_files import source_that_reads  # only a mistake waits for it

            call = source_that_reads(flow)
            help = f"such as `{call}`" if call else help
        report.error("wrong-value", f"`{key}` takes {vocabulary.one}", flow.span, label, help=help)
        return None
    word = stage.path.parts[0]
    if stage.args is None and scope.find(word) is not None:
        message = f"`{word}` is a constant of this file, and `{key}` takes {vocabulary.one}"
        report.error("wrong-value", message, stage.span, f"not {vocabulary.one}", help="give the constant another name")
        return None
    found = registry.find(folder, word, kind)
    if found is not None:
        return found, stage, scope
    words = vocabulary.words
    report.unknown(vocabulary.noun, word, stage.path.span, words, vocabulary.spellings, fixed=words)
    # Another tool's word has that tool's options, which are told once it is translated.
    meant = None if word in vocabulary.spellings else nearest(word, words)
    found = None if meant is None else registry.find(folder, meant, kind)
    return None if found is None else (found, stage, scope)


def read_call(kind: type[Kind], stage: tree.Stage, scope: Scope, report: Report) -> Chosen[Kind] | None:
    """The options of a call; None where one is wrong or missing (reported). What this version cannot do is noted."""
    misfits: list[str] = []
    spellings = {**OPTION_SPELLINGS, **kind.spellings}
    required = {name for name, field in kind.options.items() if field.required}
    names = list(kind.options)
    given = given_arguments(stage, names, report, spellings=spellings, misfits=misfits, required=required) or {}
    ready: dict[str, Any] = {}
    for name, written in given.items():
        reader = next((mark for mark in kind.options[name].marks if isinstance(mark, ReadBy)), None)
        if reader is not None:
            ready[name] = reader.read(written.flow, name, scope, report)
    options = read_options(kind, kind.word, given, {}, scope, report, stage.span, ready=ready, misfits=misfits)
    if options is None:
        return None
    chosen = Chosen(options, stage.span, {name: written.flow.span for name, written in given.items()})
    # What is wrong for want of an option that is there, misspelt, is not told beside that.
    absent = [f"`{name}" for name in misfits if name]
    faults = [one for one in options.faults() if not any(a in one.message + one.label + one.help for a in absent)]
    for fault in faults:
        report.error(fault.code, fault.message, chosen.place(fault.option), fault.label, help=fault.help)
    if faults or misfits:
        return None
    for what, option in options.missing():
        report.later(what, stage.path.span if option is None else chosen.place(option))
    return chosen


def read_in_part(
    kind: type[Kind], stage: tree.Stage, scope: Scope, found: Iterable[Diagnostic]
) -> tuple[Chosen[Kind] | None, frozenset[str]]:
    """A call of which `read_call` has told the faults, without the arguments that have one: what it lacks then is as
    in the example of its class. Also the options that are not as they were meant."""
    wrong = [finding.span for finding in found]
    kept: dict[str, tree.Flow] = {}
    unsure: set[str] = set()
    for name, arg in _named(stage, kind):
        if name in kind.options and not any(arg.span.start <= span.start < arg.span.end for span in wrong):
            kept[name] = arg.value if isinstance(arg, tree.Keyword) else arg
        else:
            unsure.add(nearest(name, kind.options, kind.spellings) or "")
    if "" in unsure:
        unsure = kind.options.keys() - kept.keys()
    for name, arg in _named(_example(kind), kind):
        if kind.options[name].required and name not in kept:
            kept[name] = arg.value if isinstance(arg, tree.Keyword) else arg
            unsure.add(name)
    args = tuple(tree.Keyword(tree.Name(name, span=flow.span), flow, span=flow.span) for name, flow in kept.items())
    chosen = read_call(kind, tree.Stage(stage.path, args, span=stage.span), scope, Unheard())
    if chosen is not None:
        return chosen, frozenset(unsure)
    # What is wrong is wrong with several of them together.
    example = tree.Stage(stage.path, _example(kind).args, span=stage.span)
    return read_call(kind, example, scope, Unheard()), frozenset(kind.options)


def _named(stage: tree.Stage, kind: type[Options]) -> Iterator[tuple[str, tree.Flow | tree.Keyword]]:
    """The arguments of a call with the names of their options, empty where there is none for one."""
    names = list(kind.options)
    for place, arg in enumerate(stage.args or ()):
        yield arg.name.text if isinstance(arg, tree.Keyword) else names[place] if place < len(names) else "", arg


def _example(kind: type[Options]) -> tree.Stage:
    file, _ = parse(Source(kind.word, f"dlspec 1\nexample = {kind.example}\n"))
    (item,) = file.items
    assert isinstance(item, tree.Constant) and isinstance(item.value, tree.Stage)
    return item.value
