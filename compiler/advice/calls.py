"""Edits of calls: options that are to go, values of another kind than is meant, braces where none belong."""

from __future__ import annotations

import re
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..semantics.nearest import nearest
from .around import Nodes, Rule, also, call_of, innermost, instead, out_of_call, with_comma

# What a description of values says besides the words that may be written.
_FILLERS = frozenset(
    "a above an and at axis below flow from least list most number of one or small text the them to whole".split()
)
_TRUTHS: dict[str, str] = {
    **dict.fromkeys(("0", "no", "off", "false"), "false"),
    **dict.fromkeys(("1", "yes", "on", "true"), "true"),
}


def leave_out(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """An argument that is one too many, or that is there already."""
    found = call_of(finding, nodes)
    if found is None or (len(found[0].args or ()) == 1 and isinstance(nodes[0], tree.Default)):
        return None
    drop = out_of_call(*found)
    more = f"; {finding.help}" if finding.help.startswith(("its ", "one of")) else ""
    return instead(finding, "", drop, help=f"leave it out{more}")


def leave_out_of_list(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`[accuracy(..), accuracy(..)]`."""
    list_ = innermost(nodes, tree.List)
    spans = [] if list_ is None else [entry.span for entry in list_.entries]
    if list_ is None or finding.span not in spans:
        return None
    return also(finding, "", with_comma(list_.entries, spans.index(finding.span)))


def truth(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`bias = 0`, `bias = "no"`."""
    meant = _TRUTHS.get(finding.span.text.strip('"'))
    return instead(finding, meant) if meant and "true or false" in finding.message else None


def word_for_a_truth(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`bias = no`."""
    option, meant = innermost(nodes, tree.Keyword), _TRUTHS.get(finding.span.text.lower())
    given = option is not None and option.value.span == finding.span
    return instead(finding, meant) if given and meant is not None else None


def number_in_quotes(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`batch = "64"`."""
    text = finding.span.text
    if not re.fullmatch(r'"\d+(\.\d+)?([eE][+-]?\d+)?"', text) or "number" not in finding.message:
        return None
    return instead(finding, text[1:-1])


def sign(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(-4)`, `lr = -1e-3`, `Dropout(-0.1)`, where the number without it is taken."""
    node = innermost(nodes, tree.Negate)
    ranges = ("at least 1", "at least 0", "above 0", "from 0", "whole number of copies")
    said = f"{finding.message} {finding.label}"
    if node is None or node.span != finding.span or not any(words in said for words in ranges):
        return None
    return instead(finding, node.operand.span.text) if _may_be(node.operand, said) else None


def _may_be(number: tree.Node, said: str) -> bool:
    """Whether what is said of the values that are taken lets a number above 0 be one."""
    if "deviation above 0" in said:  # of `normal(..)`, which is no number
        return False
    most = re.search(r"(below|at most) (\d[\d.]*)", said)
    if most is None or not isinstance(number, tree.Number):
        return True
    bound = float(most[2].rstrip("."))
    return number.value < bound if most[1] == "below" else number.value <= bound


def probability(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`residual(drop = -1)`: 1 would drop all there is."""
    taken = r"takes a number (?:from 0 to 1|of at least 0 and below 1)$"
    option = re.match(rf"`(\w+)` (?:of \w+ )?{taken}", finding.message)
    node = innermost(nodes, tree.Negate)
    if option is None:
        return None
    if node is not None and isinstance(node.operand, tree.Number) and node.operand.value < 1:
        return None
    return replace(finding, help=finding.help or f"such as `{option[1]} = 0.1`")


def whole_division(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(9 / 2)`."""
    node = innermost(nodes, tree.Binary)
    if node is None or node.operator != "/" or node.span != finding.span or "whole number" not in finding.message:
        return None
    return instead(finding, f"{node.left.span.text} // {node.right.span.text}", help="write `//` to round down")


def near_word(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`approximate = "tahn"`, where `none or tanh` is taken; `evry(100)`, where `every(500)` is."""
    said = finding.message.partition(" takes ")[2]
    call = innermost(nodes, tree.Stage)
    written = finding.span.text.strip('"')
    if call is not None and call.span == finding.span and call.path.span != finding.span:
        calls = set(re.findall(r"`([a-z_]+)\(", said))
        meant = nearest(str(call.path), calls)
        return None if meant is None or meant == str(call.path) else instead(finding, meant, call.path.span)
    words = set(re.findall(r"[a-z_]\w*", said.replace("one of", ""))) - _FILLERS
    is_word = written.isidentifier() and "such as" not in said
    meant = nearest(written, words) if is_word else None
    if meant is None or meant == written or len(words) > 12:
        return None
    return instead(finding, f'"{meant}"' if finding.span.text.startswith('"') else meant)


def braces_to_arrow(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(4) { relu }`."""
    call = next((node for node in reversed(nodes) if isinstance(node, tree.Stage) and node.body is not None), None)
    if call is None or call.body is None or not call.body.lines:
        return None
    before = call.body.span.source.text[: call.body.span.start].rstrip()
    better = " -> ".join(line.span.text for line in call.body.lines)
    gap = Span(call.span.source, len(before), call.body.span.end)
    return instead(finding, f" -> {better}", gap, help=f"write `{call.path} -> ...`: a stage follows by the arrow")


def option_by_name(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`residual(LayerNorm)`: what its help offers first."""
    found = re.match(r"write `(?:default )?\w+\((?!option\b)(\w+) = ", finding.help)
    return None if found is None else also(finding, f"{found[1]} = {finding.span.text}")


def missing_path(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`onnx` in an `export`."""
    item, call = (nodes[0] if nodes else None), innermost(nodes, tree.Stage)
    endings = {"onnx": "onnx", "torchscript": "pt", "pt2": "pt2"}
    if not isinstance(item, tree.Export) or call is None or call.args or str(call.path) not in endings:
        return None
    word = str(call.path)
    return instead(finding, f'{word}("{item.model.text.lower()}.{endings[word]}")')


def as_the_help_says(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """The help ends in the call that is to stand here, with nothing left to fill in."""
    found = re.fullmatch(r"(?:write|make the table as long:) `([^`]+\))`", finding.help)
    return None if found is None or found[1].endswith(("= value)", "= ...)")) else also(finding, found[1])


CALLS: dict[str, tuple[Rule, ...]] = {
    "repeated-option": (leave_out,),
    "too-many-arguments": (leave_out,),
    "unknown-option": (leave_out,),
    "repeated-metric": (leave_out_of_list,),
    "wrong-value": (truth, number_in_quotes, probability, sign, whole_division, near_word),
    "unknown-name": (word_for_a_truth,),
    "unexpected-body": (braces_to_arrow,),
    "option-by-position": (option_by_name,),
    "default-by-position": (option_by_name,),
    "missing-option": (missing_path,),
    "missing-input": (as_the_help_says,),
}
