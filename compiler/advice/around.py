"""What stands around a finding, and the edits that rules put together from it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias, TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic, Fix
from ...grammar.source import Span

Nodes: TypeAlias = "Sequence[tree.Node]"
"""From the item that holds a place to the smallest node that does."""
Rule: TypeAlias = Callable[[Diagnostic, Nodes], "Diagnostic | None"]
Kind = TypeVar("Kind", bound=tree.Node)


class Around:
    """The nodes around a place, found without a look at their neighbours."""

    def __init__(self, file: tree.File, callers: Sequence[tree.File] = ()) -> None:
        self.file = file
        self.callers = callers
        self.constants = {item.name.text: item.value for item in file.items if isinstance(item, tree.Constant)}
        self._children: dict[int, tuple[list[tree.Node], list[int]]] = {}

    def nodes(self, span: Span) -> list[tree.Node]:
        found: list[tree.Node] = []
        if span.source is not self.file.span.source:
            return found
        node: tree.Node = self.file
        while (inner := self._child(node, span)) is not None:
            found.append(inner)
            node = inner
        return found

    def handed(self, block: tree.Block, i: int) -> tree.Flow | None:
        """What is given for a block's parameter, no number where a call gives none; without a call its default."""
        param = (block.params or ())[i]
        given = [param.default] if param.default is not None else []
        for call in self.calls_of(block):
            args = call.args or ()
            named = [arg.value for arg in args if isinstance(arg, tree.Keyword) and arg.name.text == param.name.text]
            placed = [arg for arg in args[i : i + 1] if not isinstance(arg, tree.Keyword)]
            given = [*named, *placed, *given]
        texts = [flow for flow in given if any(isinstance(node, tree.String | tree.Bool) for node in tree.walk(flow))]
        return next(iter([*texts, *given]), None)

    @cached_property
    def calls(self) -> dict[str, list[tree.Stage]]:
        """The stages of the file by their names."""
        return _calls([self.file])

    def calls_of(self, block: tree.Block) -> list[tree.Stage]:
        """The stages of all files that call a block."""
        return self._calls_anywhere.get(block.name.text, [])

    @cached_property
    def _calls_anywhere(self) -> dict[str, list[tree.Stage]]:
        return _calls([self.file, *self.callers]) if self.callers else self.calls

    def mentions(self, name: str) -> list[Span]:
        """Where a name is used in the file, in order: the first part of a path, the model of a recipe or an export."""
        return self._names[1].get(name, [])

    def given(self, name: str) -> list[Span]:
        """Where something is called so in the file."""
        return self._names[0].get(name, [])

    @cached_property
    def _names(self) -> tuple[dict[str, list[Span]], dict[str, list[Span]]]:
        given: dict[str, list[Span]] = {}
        mentions: dict[str, list[Span]] = {}
        for node in tree.walk(self.file):
            if isinstance(node, tree.Path):
                word, span = node.parts[0], node.span
                mentions.setdefault(word, []).append(Span(span.source, span.start, span.start + len(word)))
            elif isinstance(node, tree.Train | tree.Export):
                mentions.setdefault(node.model.text, []).append(node.model.span)
            names = tree.children(node) if not isinstance(node, tree.Keyword | tree.Train | tree.Export) else ()
            for name in names:
                # One that `--set` gives stands in no file.
                if isinstance(name, tree.Name) and name.span.source is self.file.span.source:
                    given.setdefault(name.text, []).append(name.span)
        return given, mentions

    def _child(self, node: tree.Node, span: Span) -> tree.Node | None:
        if id(node) not in self._children:
            below = [n for n in tree.children(node) if n.span.source is span.source]
            self._children[id(node)] = (below, [n.span.start for n in below])
        below, starts = self._children[id(node)]
        i = bisect_right(starts, span.start) - 1
        return below[i] if i >= 0 and span.end <= below[i].span.end else None


def _calls(files: Iterable[tree.File]) -> dict[str, list[tree.Stage]]:
    found: dict[str, list[tree.Stage]] = {}
    for node in (node for file in files for node in tree.walk(file)):
        if isinstance(node, tree.Stage):
            found.setdefault(str(node.path), []).append(node)
    return found


def item_of(nodes: Nodes, kind: type[Kind]) -> Kind | None:
    """The item in which a place lies, where it is of that kind; a value of `--set` lies in none."""
    return nodes[0] if nodes and isinstance(nodes[0], kind) else None


def innermost(nodes: Nodes, kind: type[Kind]) -> Kind | None:
    return next((node for node in reversed(nodes) if isinstance(node, kind)), None)


def call_of(finding: Diagnostic, nodes: Nodes) -> tuple[tree.Stage, int] | None:
    """The call of which the finding's place is an argument, or the name of one, and which it is."""
    for node in reversed(nodes):
        for i, arg in enumerate(node.args or () if isinstance(node, tree.Stage) else ()):
            place = arg.name.span if isinstance(arg, tree.Keyword) else arg.span
            if finding.span in (arg.span, place) and isinstance(node, tree.Stage):
                return node, i
    return None


def is_name(node: tree.Node) -> bool:
    """Whether a node is a bare name with a small first letter."""
    return isinstance(node, tree.Stage) and node.args is None and node.body is None and node.span.text[:1].islower()


def bindings(item: tree.Node) -> Iterator[tree.Binding]:
    """All lines `name = ...` of an item."""
    return (node for node in tree.walk(item) if isinstance(node, tree.Binding))


def value_of(arg: tree.Flow | tree.Keyword) -> tree.Flow:
    return arg.value if isinstance(arg, tree.Keyword) else arg


def with_comma(elements: Sequence[tree.Node], i: int) -> Span:
    """What goes with an element of a list: the comma before it, or behind it where it is the first."""
    span = elements[i].span
    if i:
        return Span(span.source, elements[i - 1].span.end, span.end)
    return Span(span.source, span.start, elements[1].span.start if len(elements) > 1 else span.end)


def out_of_call(call: tree.Stage, i: int) -> Span:
    """What goes with an argument of a call: the comma too, and the parentheses where it stands alone in them."""
    args = list(call.args or ())
    if len(args) > 1:
        return with_comma(args, i)
    end = call.span.end if call.body is None else call.span.source.text.index(")", args[0].span.end) + 1
    return Span(call.span.source, call.path.span.end, end)


def whole_line(span: Span) -> Span:
    """The lines on which something stands, with the end of the last."""
    text = span.source.text
    end = text.find("\n", span.end)
    return Span(span.source, text.rfind("\n", 0, span.start) + 1, len(text) if end < 0 else end + 1)


def instead(
    finding: Diagnostic, better: str, span: Span | None = None, *, help: str = "", **changes: str
) -> Diagnostic:
    """The finding, cured by `better` in place of what stands at `span` (its own place, if left out)."""
    fix = Fix(finding.span if span is None else span, better)
    return replace(finding, help=help or f"write `{better}`", fixes=(fix,), **changes)


def also(finding: Diagnostic, better: str, span: Span | None = None) -> Diagnostic:
    """The finding with an edit that does what its help says."""
    return replace(finding, fixes=(Fix(finding.span if span is None else span, better),))
