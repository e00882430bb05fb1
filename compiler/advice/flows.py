"""Edits of flows and of names: calls with too much or too little, values to be joined, what is given twice."""

from __future__ import annotations

import re

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..layers import registry
from .around import Nodes, Rule, also, innermost, instead, out_of_call, whole_line, with_comma

_TWO_ARGUMENTS = ("max", "min")


def already_given(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`w(3)`, where `w` is a constant with its options."""
    call = innermost(nodes, tree.Stage)
    alone = "" if call is None else f"write `{call.path}` alone"
    if call is None or call.path.span != finding.span or call.body is not None or not finding.help.startswith(alone):
        return None
    return also(finding, str(call.path), call.span)


def weight_of_label(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`weight = e`, where `e` is the label of a layer with one."""
    name = finding.span.text
    for node in tree.walk(nodes[0]) if nodes else ():
        target = node.target if isinstance(node, tree.Label) and node.name.text == name else None
        if isinstance(target, tree.Stage) and str(target.path) in ("Linear", "Embedding"):
            return instead(finding, f"{name}.weight", help=f"write `weight = {name}.weight`")
    return None


def joined_first(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Two -> relu`, where two values flow out of `Two`."""
    if "values flow in, and this takes one" not in finding.message:
        return None
    start = Span(finding.span.source, finding.span.start, finding.span.start)
    help_ = "join them, `concat(axis = -1) -> ...`, or name them, `as a, b`, and go on with one"
    return instead(finding, "concat(axis = -1) -> ", start, help=help_)


def factor_of_what_flows(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`sqrt(8)` as a line."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.span != finding.span or not finding.help.startswith("combine it with what flows"):
        return None
    better = f"identity * {call.span.text}"
    return instead(finding, better, help=f"combine it with what flows: `{better}`")


def arguments(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`max(0)`: what flows is the other one; `sqrt(16, 2)`."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.span != finding.span or not call.args or call.body is not None:
        return None
    word, count = str(call.path), len(call.args)
    in_body = isinstance(nodes[0], tree.Model | tree.Block)
    if word in _TWO_ARGUMENTS and count == 1 and in_body and isinstance(call.args[0], tree.Number):
        better = f"{word}(identity, {call.args[0].span.text})"
        return instead(finding, better, help=f"write `{better}`, of what flows and {call.args[0].span.text}")
    if finding.message.endswith(" takes one argument") and count > 1:
        surplus = Span(call.span.source, call.args[0].span.end, call.args[-1].span.end)
        return instead(finding, "", surplus, help=f"write `{word}({call.args[0].span.text})`")
    return None


# --- defaults ------------------------------------------------------------------------------------------------------


def out_of_default(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`default Linear(dropout = 0.1)`: with its one option the line goes too."""
    default, option = innermost(nodes, tree.Default), innermost(nodes, tree.Keyword)
    if default is None or option is None or finding.span not in (option.span, option.name.span):
        return None
    args = default.stage.args or ()
    if option not in args:
        return None
    gone = whole_line(default.span) if len(args) == 1 else out_of_call(default.stage, args.index(option))
    return also(finding, "", gone)


def only_option_of_kind(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`default Linear(false)`, which one option alone can take."""
    default = innermost(nodes, tree.Default)
    kind = None if default is None else registry.find(str(default.stage.path))
    if kind is None or finding.span.text not in ("true", "false"):
        return None
    takers = [name for name, field in kind.options.items() if isinstance(field.default, bool)]
    if default is None or len(takers) != 1:
        return None
    better = f"{takers[0]} = {finding.span.text}"
    return instead(finding, better, help=f"write `default {default.stage.path}({better})`")


# --- names ---------------------------------------------------------------------------------------------------------


def another_name(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A constant, block or model that is called like one above: what uses the name means the first."""
    item = nodes[0] if nodes else None
    if not isinstance(item, tree.Constant | tree.Block | tree.Model) or item.name.span != finding.span:
        return None
    stem = f"{item.name}_" if item.name.text[-1].isdigit() else item.name.text
    words = set(re.findall(r"\w+", finding.span.source.text))
    other = next(f"{stem}{n}" for n in range(2, len(words) + 3) if f"{stem}{n}" not in words)
    return instead(finding, other, help=f"{finding.help}, such as `{other}`")


def unused_input(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """An input of a model that nothing uses."""
    model, port = (nodes[0] if nodes else None), innermost(nodes, tree.Port)
    if not isinstance(model, tree.Model) or port is None or finding.severity != "error":
        return None
    inputs = list(model.signature.inputs)
    if port not in inputs or len(inputs) < 2:
        return None
    return also(finding, "", with_comma(inputs, inputs.index(port)))


def parameter_first(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`block L(a = b, b = 2)`: `b` goes before `a`."""
    block, param = (nodes[0] if nodes else None), innermost(nodes, tree.Param)
    if not isinstance(block, tree.Block) or param is None or "before it: write " not in finding.help:
        return None
    later = next((p for p in block.params or () if p.name.text == finding.span.text), None)
    if later is None or later.span.start < param.span.start or later.default is None:
        return None
    behind = [p for p in block.params or () if param.span.start <= p.span.start < later.span.start]
    better = ", ".join(p.span.text for p in (later, *behind))
    return also(finding, better, param.span.to(later.span))


def out_of_body(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A block inside a model: it goes before it."""
    item = nodes[0] if nodes else None
    if not isinstance(item, tree.Model | tree.Block) or not finding.help.startswith("move it out of the braces"):
        return None
    line = whole_line(finding.span)
    if not finding.span.text.endswith("}") or line.text.strip() != finding.span.text:
        return None
    before = Span(line.source, item.span.start, line.start)
    return also(finding, f"{finding.span.text}\n{before.text}", Span(line.source, before.start, line.end))


# --- recipes -------------------------------------------------------------------------------------------------------


def augmented(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`augment = [random_flip]`, a line of its own."""
    line, train = innermost(nodes, tree.Binding), nodes[0] if nodes else None
    if line is None or not isinstance(train, tree.Train) or "augmentations stand behind the data" not in finding.help:
        return None
    data = next((n for n in tree.children(train.body) if isinstance(n, tree.Binding) and n.name.text == "data"), None)
    stages = line.value.entries if isinstance(line.value, tree.List) else (line.value,)
    if data is None or data.span.end > line.span.start or not stages:
        return None
    source, gone = line.span.source, whole_line(line.span)
    text = "".join(f" -> {stage.span.text}" for stage in stages)
    return also(finding, f"{text}{source.text[data.span.end : gone.start]}", Span(source, data.span.end, gone.end))


def rest_of_run_last(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`cosine -> warmup(10)`: what takes the rest of the run goes last."""
    chain = innermost(nodes, tree.Then)
    i = -1 if chain is None else next((i for i, s in enumerate(chain.stages) if s.span == finding.span), -1)
    if chain is None or i != len(chain.stages) - 1 or "takes the rest of the run" not in finding.message:
        return None
    *first, last = chain.stages
    better = " -> ".join(stage.span.text for stage in (*first[:-1], last, first[-1]))
    other = finding.help.partition(", or ")[0]
    return instead(finding, better, chain.span, help=f"let it stand last, `{better}`; or {other}")


def target_of_data(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`cross_entropy(logits, y)`, where the data has one field that is no input of the model."""
    found = re.fullmatch(r"one of (.+)", finding.help)
    call = innermost(nodes[:-1], tree.Stage)
    names = [] if found is None else re.findall(r"`([^`]+)`", found[1])
    fields = [name for name in names if name.startswith("data.") and name[5:] not in names]
    if finding.span.text not in ("y", "target", "targets", "label", "labels", "truth") or len(fields) != 1:
        return None
    if call is None or not isinstance(nodes[0], tree.Train):
        return None
    return instead(finding, fields[0], help=f"write `{fields[0]}`: {finding.help}")


FLOW_EDITS: dict[str, tuple[Rule, ...]] = {
    "unknown-function": (already_given,),
    "bad-tie": (weight_of_label,),
    "lost-value": (joined_first,),
    "number-as-stage": (factor_of_what_flows,),
    "wrong-arguments": (arguments,),
    "unknown-option": (out_of_default,),
    "conflict": (out_of_default,),
    "default-by-position": (only_option_of_kind,),
    "repeated-name": (another_name,),
    "unused-name": (unused_input,),
    "unknown-name": (target_of_data,),
    "misplaced": (out_of_body,),
    "unknown-key": (augmented,),
    "misplaced-stage": (rest_of_run_last,),
}
