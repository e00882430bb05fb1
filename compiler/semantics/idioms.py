"""What one writes who knows another tool: findings about it say how the same is said here.

Each rule takes a finding of one code and the nodes around its place, and gives a better one, or None.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic, Fix
from ...grammar.source import Span
from .language import FUNCTIONS, LAYERS, SPELLINGS
from .nearest import nearest

Nodes: TypeAlias = "Sequence[tree.Node]"
Rule: TypeAlias = Callable[[Diagnostic, Nodes], "Diagnostic | None"]
Kind = TypeVar("Kind", bound=tree.Node)

PACKAGES = frozenset("nn torch F tf keras layers jax jnp np numpy flax linen self functional K".split())
"""What other tools put before a layer or function."""

NEEDLESS = {
    **dict.fromkeys(
        ("in_features", "in_channels", "input_dim", "input_size", "input_shape", "in_dim", "num_features"),
        "the width of what comes in is known",
    ),
    **dict.fromkeys(("inplace", "batch_first", "key", "rngs"), "how it is computed is not part of a spec"),
    **dict.fromkeys(("device", "dtype"), "where and how precisely it is computed is a matter of the recipe"),
}
"""Options that are to be left out, and why."""

_OPEN_DIMS = "BTSHWNMK"


def in_our_words(found: Sequence[Diagnostic], file: tree.File) -> list[Diagnostic]:
    """The findings, each as it is said to those who come from another tool, where a rule knows their way."""
    if not any(d.code in RULES for d in found):
        return list(found)
    around = _Around(file)
    return [_said(d, around) for d in found]


def _said(finding: Diagnostic, around: _Around) -> Diagnostic:
    rules = RULES.get(finding.code, ())
    nodes = around.nodes(finding.span) if rules else ()
    return next((better for rule in rules if (better := rule(finding, nodes)) is not None), finding)


class _Around:
    """The nodes around a place, found without a look at their neighbours."""

    def __init__(self, file: tree.File) -> None:
        self.file = file
        self._children: dict[int, tuple[list[tree.Node], list[int]]] = {}

    def nodes(self, span: Span) -> list[tree.Node]:
        """From the item that holds the place to the smallest node that does."""
        found: list[tree.Node] = []
        node: tree.Node = self.file
        while (inner := self._child(node, span)) is not None:
            found.append(inner)
            node = inner
        return found

    def _child(self, node: tree.Node, span: Span) -> tree.Node | None:
        if id(node) not in self._children:
            below = [n for n in tree.children(node) if n.span.source is self.file.span.source]
            self._children[id(node)] = (below, [n.span.start for n in below])
        below, starts = self._children[id(node)]
        i = bisect_right(starts, span.start) - 1
        return below[i] if i >= 0 and span.end <= below[i].span.end else None


def _last(nodes: Nodes, kind: type[Kind]) -> Kind | None:
    return next((node for node in reversed(nodes) if isinstance(node, kind)), None)


def _instead(
    finding: Diagnostic,
    message: str,
    label: str,
    better: str,
    span: Span | None = None,
    shown: str = "",
    code: str = "",
) -> Diagnostic:
    """The finding, cured by `better` in place of what stands at `span` (its own place, if left out)."""
    fix = Fix(finding.span if span is None else span, better)
    help_ = f"write `{shown or better}`"
    return replace(finding, code=code or finding.code, message=message, label=label, help=help_, fixes=(fix,))


# --- names ---------------------------------------------------------------------------------------------------------


def package(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`nn.Linear`, `F.relu`, `self.head`."""
    path = _last(nodes, tree.Path)
    if path is None or len(path.parts) < 2 or path.parts[0] not in PACKAGES:
        return None
    last = path.parts[-1]
    if path.parts[0] == "self":
        return _instead(finding, "a module is called by its label alone", "there is no `self`", last, path.span)
    meant = nearest(last, LAYERS | FUNCTIONS, SPELLINGS) or last
    better, span = meant, path.span
    call = _last(nodes, tree.Stage)
    if call is not None and call.args and call.body is None:
        if meant == "Linear" and len(call.args) == 2 and all(_is_size(arg) for arg in call.args):
            better, span = f"Linear({call.args[1].span.text})", call.span
        elif meant in FUNCTIONS and len(call.args) == 1 and isinstance(call.args[0], tree.Stage):
            better, span = f"{call.args[0].span.text} -> {meant}", call.span
    return _instead(finding, "layers and functions stand without a package", "a name of another tool", better, span)


def method(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`x.relu()`, where `x` is a value."""
    path, call = _last(nodes, tree.Path), _last(nodes, tree.Stage)
    if path is None or call is None or len(path.parts) != 2 or path.parts[0] not in _given(nodes[0]):
        return None
    value, word = path.parts
    meant = nearest(word, LAYERS | FUNCTIONS, SPELLINGS)
    if meant is None:
        return None
    better = f"{value} -> {meant}"
    span = call.span if call.args == () else path.span
    return _instead(finding, "a function is applied by the arrow", f"`{value}` is a value", better, span)


def _given(item: tree.Node) -> set[str]:
    """The names of an item's ports and values."""
    return {
        name.text
        for node in tree.walk(item)
        for name in (
            (node.name,)
            if isinstance(node, tree.Port | tree.Binding) and node.name
            else node.names
            if isinstance(node, tree.Named)
            else ()
        )
    }


def chain(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Sequential(f, g)`."""
    call = _last(nodes, tree.Stage)
    if call is None or not call.args or call.path.parts[-1] not in ("Sequential", "Compose", "Chain", "Stack"):
        return None
    args = call.args[0].entries if len(call.args) == 1 and isinstance(call.args[0], tree.List) else call.args
    if not args or any(isinstance(arg, tree.Keyword | tree.Entry) for arg in args):
        return None
    better = " -> ".join(arg.span.text for arg in args)
    return _instead(finding, "stages follow each other by arrows, or line by line", "not needed", better, call.span)


def reassigned(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`x = relu(x)`, where `x` is a value already."""
    line = _last(nodes, tree.Binding)
    if line is None or line.name.span != finding.span:
        return None
    start = Span(line.span.source, line.name.span.start, line.value.span.start)
    message = f"`{line.name}` is given already, and what a line gives flows on without a name"
    return replace(finding, message=message, help="leave out the name and the `=`", fixes=(Fix(start, ""),))


def open_flow(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`fc = Linear(10)`, and nothing runs it."""
    line = _last(nodes, tree.Binding)
    if line is None or line.name.span != finding.span or finding.severity != "error":
        return None
    message = f"`{line.name} = ...` names a flow for later, and nothing runs it"
    gap = Span(line.span.source, line.name.span.end, line.value.span.start)
    if isinstance(line.value, tree.Stage) and line.value.path.parts[-1][:1].isupper():
        better = f"{line.name}: {line.value.span.text}"
        return replace(finding, message=message, help=f"write `{better}` to run it here", fixes=(Fix(gap, ": "),))
    whole = Span(gap.source, line.name.span.start, gap.end)
    help_ = "leave out the name and the `=` to run it here"
    return replace(finding, message=message, help=help_, fixes=(Fix(whole, ""),))


# --- calls ---------------------------------------------------------------------------------------------------------


def nested_call(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`relu(x)`."""
    call = _last(nodes[:-1] if nodes and nodes[-1].span == finding.span else nodes, tree.Stage)
    while call is not None and not any(arg.span == finding.span for arg in call.args or ()):
        nodes = nodes[: list(nodes).index(call)]
        call = _last(nodes, tree.Stage)
    if call is None or len(call.args or ()) != 1 or "no options" not in finding.message:
        return None
    better = f"{finding.span.text} -> {call.path}"
    message = "what goes through a function comes by the arrow"
    return _instead(finding, message, "in parentheses", better, call.span, code="foreign-call")


def width_in(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8, 4)`."""
    call = next((n for n in reversed(nodes) if isinstance(n, tree.Stage) and n.path.parts[-1] == "Linear"), None)
    args = () if call is None else call.args or ()
    if call is None or len(args) < 2 or args[1].span != finding.span or isinstance(args[1], tree.Keyword):
        return None
    if "true or false" not in finding.message or not _is_size(args[0]) or not _is_size(args[1]):
        return None
    drop = Span(call.span.source, args[0].span.start, args[1].span.start)
    better = f"{call.path}({finding.span.text}{''.join(f', {arg.span.text}' for arg in args[2:])})"
    message = "`Linear` is told the width that comes out; the one that comes in is known"
    return _instead(finding, message, "this would be `bias`", "", drop, better)


def _is_size(node: tree.Node) -> bool:
    return isinstance(node, tree.Number | tree.Binary) or (isinstance(node, tree.Stage) and node.args is None)


def needless(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(4, in_features = 8)`."""
    option, call = _last(nodes, tree.Keyword), _last(nodes, tree.Stage)
    if option is None or call is None or option not in (call.args or ()) or option.name.text not in NEEDLESS:
        return None
    return replace(
        finding,
        message=f"`{call.path}` has no option `{option.name}`: {NEEDLESS[option.name.text]}",
        help="leave it out",
        fixes=(Fix(_with_comma(option, call), ""),),
    )


def _with_comma(option: tree.Keyword, call: tree.Stage) -> Span:
    """What goes with an argument: the comma before it, or behind it where it is the first."""
    args = call.args or ()
    at = args.index(option)
    source = option.span.source
    if at:
        return Span(source, args[at - 1].span.end, option.span.end)
    return Span(source, option.span.start, args[1].span.start if len(args) > 1 else option.span.end)


def activation(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8, activation = relu)`."""
    option, call = _last(nodes, tree.Keyword), _last(nodes, tree.Stage)
    if option is None or call is None or option.name.text not in ("activation", "act", "act_fn", "nonlinearity"):
        return None
    value = option.value.value if isinstance(option.value, tree.String) else option.value.span.text
    word = nearest(value, FUNCTIONS, SPELLINGS)
    if word is None or option not in (call.args or ()):
        return None
    cut, whole = _with_comma(option, call), call.span
    written = whole.source.text[whole.start : cut.start] + whole.source.text[cut.end : whole.end]
    message = "an activation is a stage of its own"
    return _instead(finding, message, "not an option here", f"{written} -> {word}", whole)


def named_by_option(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8, name = "fc1")`."""
    option, call = _last(nodes, tree.Keyword), _last(nodes, tree.Stage)
    if option is None or call is None or option.name.text not in ("name", "id") or option not in (call.args or ()):
        return None
    name = option.value.value if isinstance(option.value, tree.String) else option.value.span.text
    labelled = len(nodes) > 1 and any(isinstance(n, tree.Label) and n.target is call for n in nodes)
    if labelled or not name.isidentifier() or not name[0].islower():
        return None
    cut, whole = _with_comma(option, call), call.span
    written = whole.source.text[whole.start : cut.start] + whole.source.text[cut.end : whole.end]
    message = "a module is given its name by a label"
    return _instead(finding, message, "not an option here", f"{name}: {written}", whole)


# --- dims ----------------------------------------------------------------------------------------------------------


def open_dim(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`[None, 8]`, `[-1, 8]`, `[?, 8]`."""
    text, source = finding.span.text, finding.span.source.text
    if text not in ("?", "-1", "None", "none") or source[: finding.span.start].rstrip()[-1:] not in ("[", ","):
        return None
    shape = _last(nodes, tree.Shape)
    if finding.code == "foreign-word" and shape is None:
        return None
    before = source[: finding.span.start]
    first = before.rstrip()[-1:] == "["
    taken = set() if shape is None else {node.parts[0] for node in tree.walk(shape) if isinstance(node, tree.Path)}
    letter = "B" if first else next(c for c in (*_OPEN_DIMS[1:], "D") if c not in taken)
    message = "a dim that stays open until run time has a name with a capital first letter"
    return _instead(finding, message, "no name", letter)


def lowercase_dim(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`[batch, 8]`."""
    dim = _last(nodes, tree.Path)
    if dim is None or finding.fixes or _last(nodes, tree.Shape) is None or "`, or a Capital" in finding.help:
        return None
    name = dim.parts[0]
    letter = name[0].upper()
    if _last(nodes, tree.Signature) is None or not letter.isalpha():
        return None
    message = f"there is no constant `{name}`, and a dim that stays open has a Capital name"
    return _instead(finding, message, "not known here", letter, dim.span)


RULES: dict[str, tuple[Rule, ...]] = {
    "unknown-name": (package, method, lowercase_dim),
    "unknown-layer": (package, chain),
    "unknown-function": (package, method),
    "unknown-option": (needless, activation, named_by_option),
    "repeated-name": (reassigned,),
    "unused-name": (open_flow,),
    "too-many-arguments": (nested_call,),
    "wrong-value": (width_in,),
    "bad-dim": (open_dim,),
    "foreign-sign": (open_dim,),
    "foreign-word": (open_dim,),
}
"""By the code of a finding: the rules that may know better, in the order in which they are asked."""
