"""Edits of lines: what is to go, what is to be put in, names that are to be given or taken back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..semantics.nearest import nearest
from .around import Nodes, Rule, also, innermost, instead, item_of, whole_line


def without_label(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`act: relu`."""
    label = innermost(nodes, tree.Label)
    if label is None or label.name.span != finding.span:
        return None
    start = Span(label.span.source, label.name.span.start, label.target.span.start)
    return instead(finding, "", start, help=f"leave the label out, or {finding.help}")


def without_name(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8) as h`, where nothing uses `h`."""
    line = innermost(nodes, tree.Named)
    if line is None or finding.severity != "error":
        return None
    if len(line.names) > 1:
        return also(finding, "_")
    return also(finding, "", Span(line.span.source, line.flow.span.end, line.span.end))


def without_surplus_names(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`split(2) as a, b, c`."""
    line = innermost(nodes, tree.Named)
    i = 0 if line is None else next((i for i, name in enumerate(line.names) if name.span == finding.span), 0)
    if line is None or not i:
        return None
    surplus = Span(line.span.source, line.names[i - 1].span.end, line.span.end)
    return instead(finding, "", surplus, help=f"leave it out; {finding.help}")


def another_label(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """Two modules with one label."""
    item, name = item_of(nodes, tree.Node), finding.span.text
    if item is None:
        return None
    taken = {node.name.text for node in tree.walk(item) if isinstance(node, tree.Label)}
    stem, joint = name, "_" if name[-1].isdigit() else ""
    other = next(f"{stem}{joint}{n}" for n in range(2, len(taken) + 3) if f"{stem}{joint}{n}" not in taken)
    return instead(finding, other, help=f"{finding.help}, such as `{other}`")


def output_meant(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`as lgoits`, where an output is called `logits`."""
    port = innermost(nodes, tree.Port)
    if port is None or port.name is None or not isinstance(nodes[0], tree.Model):
        return None
    given = {
        name.text: name.span
        for node in tree.walk(nodes[0].body)
        for name in (node.names if isinstance(node, tree.Named) else ())
    }
    others = {p.name.text for p in (nodes[0].signature.outputs or ()) if p.name}
    meant = nearest(port.name.text, given.keys() - others)
    if meant is None:
        return None
    return instead(finding, port.name.text, given[meant], help=f"write `as {port.name}` for `as {meant}`")


def from_an_input(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`begin with an input: x -> ...`."""
    found = re.match(r"begin with an input: `(\w+ -> )", finding.help)
    return None if found is None else also(finding, f"{found[1]}{finding.span.text}")


def factor(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(4) -> 2`."""
    chain = innermost(nodes, tree.Then)
    i = 0 if chain is None else next((i for i, s in enumerate(chain.stages) if s.span == finding.span), 0)
    if chain is None or not i or i + 1 < len(chain.stages) or not isinstance(chain.stages[i], tree.Number):
        return None
    gap = Span(chain.span.source, chain.stages[i - 1].span.end, finding.span.start)
    return instead(finding, " * ", gap, help=f"multiply by it: `{chain.stages[i - 1].span.text} * {finding.span.text}`")


def identity(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`{ }`."""
    body = innermost(nodes, tree.Body)
    if body is None or body.span != finding.span or "identity" not in finding.help:
        return None
    return also(finding, "{ identity }")


def without_line(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A setting that is there already, that contradicts another, or that belongs on the command line."""
    line = next((n for n in nodes if isinstance(n, tree.Binding)), None)
    if line is None or not isinstance(nodes[0], tree.Train):
        return None
    list_ = innermost(nodes, tree.List)
    if any(isinstance(n, tree.Keyword) and n.value.span == finding.span for n in nodes):
        return None  # of one option among several
    if finding.code == "conflict" and list_ is not None and len(list_.entries) > 1 and list_.span != finding.span:
        return None
    if finding.code == "unknown-key" and not finding.help.startswith(("it is", "`dlspec", "say", "leave it out")):
        return None
    return also(finding, "", whole_line(line.span))


def option_lacking(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`SGD(lr = 0.1, nesterov = true)`, which lacks the momentum that its help writes."""
    lacking = re.fullmatch(r"write `((\w+) = [^`]+)`", finding.help)
    option = innermost(nodes, tree.Keyword)
    if lacking is None or option is None or option.value.span != finding.span:
        return None
    calls = [node for node in nodes if isinstance(node, tree.Stage) and option in (node.args or ())]
    for arg in calls[-1].args or () if calls else ():
        if isinstance(arg, tree.Keyword) and arg.name.text == lacking[2]:
            return also(finding, lacking[1], arg.span)
    return also(finding, f"{lacking[1]}, {option.span.text}", option.span) if calls else None


def without_default(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    return instead(finding, "", whole_line(finding.span), help=finding.help or "give an option, or leave the line out")


def missing_setting(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """What a recipe lacks, as its help writes it."""
    lines = re.findall(r"`(\w+ = .+)`", finding.help)
    item = nodes[0] if nodes else None
    if not lines or not isinstance(item, tree.Train):
        return None
    phase = innermost(nodes, tree.Phase)
    if phase is not None and not finding.help.startswith("write "):
        return None  # an example
    body, margin = (item.body, "") if phase is None else (phase.body, "  ")
    if "\n" not in body.span.text:
        return None if phase is None else _in_one_line(finding, lines, body)
    before = body.span.source.text[: body.span.end - 1]
    end = len(before.rstrip(" \t"))
    text = "".join(f"{margin}  {line}\n" for line in lines)
    return also(finding, text, Span(item.span.source, end, end))


def _in_one_line(finding: Diagnostic, lines: Sequence[str], body: tree.Body) -> Diagnostic:
    """`phase one { loss = mse(y, 1) }`: a line for each."""
    first = finding.span.source.line(finding.span.line)
    margin = first[: len(first) - len(first.lstrip())]
    kept = [line.span.text for line in body.lines]
    text = "".join(f"{margin}  {line}\n" for line in (*lines, *kept))
    return also(finding, f"{{\n{text}{margin}}}", body.span)


def validations(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """Something that looks at validations, where there are none."""
    item = nodes[0] if nodes else None
    if not isinstance(item, tree.Train) or "\n" not in item.body.span.text:
        return None
    end = item.body.span.end - 1
    return also(finding, "  validate = every(epoch)\n", Span(item.span.source, end, end))


def given_below(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8) + later`, where a line below gives that name."""
    found = re.match(r"\w+", finding.span.text)
    if finding.fixes or found is None or not nodes or not isinstance(nodes[0], tree.Model | tree.Block):
        return None
    body = nodes[0].body
    # Most names are given nowhere: the text says so quicker than the tree.
    text = finding.span.source.text[finding.span.end : body.span.end]
    if re.search(rf"\b{found[0]}[ \t]*[:=]|\bas\b[^\n]*\b{found[0]}\b", text) is None:
        return None
    for node in tree.walk(body):
        names = node.names if isinstance(node, tree.Named) else ()
        if isinstance(node, tree.Binding | tree.Label):
            names = (node.name,)
        for name in names:
            if name.text == found[0] and name.span.start > finding.span.start:
                labels = ((name.span, "given here, below"),)
                return replace(finding, help="a name lives from its line on: move one of the lines", labels=labels)
    return None


def only_one(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A model that there is not, where there is one."""
    found = re.fullmatch(r"one of `(\w+)`", finding.help)
    return None if found is None or "no model" not in finding.message else instead(finding, found[1])


def name_of_input(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """An input that the data has under another name."""
    found = re.fullmatch(r"call the input `(\w+)`", finding.help)
    port = next((span for span, text in finding.labels if text.startswith("the input is")), None)
    if found is None or port is None:
        return None
    return also(finding, found[1], Span(port.source, port.start, port.start + len(port.text.partition(":")[0])))


def without_softmax(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """The last stage of the model, which the loss has too."""
    word = re.match(r"take `(\w+)` out of the model", finding.help)
    port = finding.labels[0][0] if finding.labels else None
    if word is None or port is None:
        return None
    text = port.source.text
    found = re.compile(rf"[ \t\n]*->[ \t]*{word[1]}(?:\([^()\n]*\))?(?=[ \t]*(?:as \w+)?\s*\}})").search(text, port.end)
    return None if found is None else also(finding, "", Span(port.source, found.start(), found.end()))


def first_export(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`export N { }`."""
    item = nodes[0] if nodes else None
    if not isinstance(item, tree.Export):
        return None
    return instead(finding, f'{{\n  onnx("{item.model.text.lower()}.onnx")\n}}', item.body.span, help=finding.help)


LINES: dict[str, tuple[Rule, ...]] = {
    "label-without-module": (without_label,),
    "unused-name": (without_name,),
    "too-many-names": (without_surplus_names,),
    "repeated-label": (another_label,),
    "missing-output": (output_meant,),
    "nothing-flows": (from_an_input,),
    "number-as-stage": (factor,),
    "empty-body": (identity, first_export),
    "repeated-key": (without_line,),
    "conflict": (option_lacking, without_line),
    "unknown-key": (without_line,),
    "needs-text": (without_line,),
    "empty-default": (without_default,),
    "missing-key": (missing_setting,),
    "needs-validation": (validations,),
    "unknown-name": (only_one, given_below),
    "unknown-weight": (given_below,),
    "unbound-input": (name_of_input,),
    "softmax-head": (without_softmax,),
}
