"""Flows and values as other tools write them: called like functions, handed over without the name of an option, named
where they should run. Each slip is told once, with the line as it is written here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..layers import registry
from ..layers.options import VALUE
from ..semantics.language import FUNCTIONS, SPELLINGS
from ..semantics.nearest import nearest
from .around import Nodes, Rule, bindings, call_of, innermost, instead, is_name, whole_line
from .depthwise import depthwise

_FLOWS = ("this is a flow", "this is a value that flows")
_ENCODERS = re.compile(
    r"Transformer\w*(?:Layer|Block)|(?:Encoder|Decoder)(?:Layer|Block)|(?:GPT|Llama|Bert)Block|Block"
)

# The options of PyTorch's layer of a transformer: their names here and there, and their places.
_WIDTH = ("d_model", "embed_dim", "dim", "hidden_size", "n_embd"), 0
_HEADS = ("nhead", "num_heads", "n_heads", "n_head", "heads"), 1
_HIDDEN = ("dim_feedforward", "d_ff", "hidden_dim"), 2

_GLOBAL_POOLING = re.compile(r"Global_?(Average|Avg|Mean|Max)_?Pool(?:ing)?_?(?:([123])d)?", re.IGNORECASE)
_EXPERTS = re.compile(r"(?:Sparse)?(?:MoE|MixtureOfExperts)(?:Layer|Block)?|mixture_of_experts|moe", re.IGNORECASE)
_COPIES = ("num_experts", "n_experts", "experts", "n", "num_local_experts")
_CHOSEN = ("top_k", "top", "k", "num_experts_per_tok", "num_selected")
_WIDTH_NAMES = ("dim", "d_model", "width", "hidden", "hidden_size", "n_embd", "embed_dim")


def own_flow_called(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`embed(x)`, where `embed` is a flow, a value or a module of this body."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.path.span != finding.span or call.body is not None:
        return None
    if call.args is None or len(call.args) != 1:
        return None
    given = call.args[0]
    if isinstance(given, tree.Keyword) or str(call.path) not in _own_names(nodes[0]):
        return None
    message = f"`{call.path}` is a name of this body: what goes through it comes by the arrow"
    better = f"{given.span.text} -> {call.path}"
    return instead(finding, better, call.span, message=message, label="called like a function", code="foreign-call")


def _own_names(item: tree.Node) -> set[str]:
    return {node.name.text for node in tree.walk(item) if isinstance(node, tree.Binding | tree.Label)}


def flow_in_parentheses(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`gelu(Linear(4))`, `softmax(x)`: the flow stands where the first option does."""
    found = call_of(finding, nodes)
    if found is None or found[0].args is None or len(found[0].args) != 1 or not finding.label.startswith(_FLOWS):
        return None
    call, given = found[0], found[0].args[0]
    if str(call.path) not in FUNCTIONS or isinstance(given, tree.Keyword) or isinstance(nodes[0], tree.Train):
        return None
    message = "what goes through a function comes by the arrow"
    better = f"{given.span.text} -> {call.path}"
    return instead(finding, better, call.span, message=message, label="in parentheses", code="foreign-call")


def value_by_place(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`LSTM(8, lengths)`, `CrossAttention(8, memory)`: values go by name."""
    found = call_of(finding, nodes)
    call = innermost(nodes, tree.Stage) if found is None else found[0]
    kind = None if call is None else registry.find(str(call.path))
    if call is None or kind is None or not call.args:
        return None
    fields = kind.options.items()
    takers = [name for name, field in fields if field.kind is not None and field.kind.reads == VALUE]
    takers.sort(key=lambda name: not kind.options[name].required)
    i = found[1] if found else max((i for i, arg in enumerate(call.args) if is_name(arg)), default=0)
    given = call.args[i]
    if not i or not takers or isinstance(given, tree.Keyword) or not is_name(given):
        return None
    if found is not None and not finding.label.startswith(_FLOWS):
        return None
    if found is None and not any(f"needs `{name}`" in finding.message for name in takers):
        return None
    meant = given.span.text if given.span.text in takers else takers[0]
    better = f"{meant} = {given.span.text}"
    message = "the first value comes by the arrow, and each further one by the name of its option"
    first = replace(finding, span=given.span)
    return instead(first, better, given.span, message=message, label="without a name", code="wrong-value")


def flow_where_a_value_is_taken(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`d1 = Double(64)` begins with nothing; `concat(d1)` takes a value."""
    name, lines = finding.span.text, {line.name.text: line for line in bindings(nodes[0])}
    if name not in lines:
        return None
    root = lines[name]
    while (head := _head(root.value)) in lines and lines[head] is not root:
        root = lines[head]
    signature = nodes[0].signature if isinstance(nodes[0], tree.Model | tree.Block) else None
    ports = [port.name.text for port in signature.inputs if port.name] if signature else []
    message = f"`{root.name} = ...` names a flow for later, and `{name}` has no value without one"
    if name == root.name.text:
        message = f"`{name} = ...` names a flow for later, and a value is taken here"
    labels = ((root.name.span, "this flow begins with no value"),)
    if len(ports) != 1:
        help_ = f"begin it with a value: `{root.name} = x -> ...`; or let it run, `... as {root.name}`"
        return replace(finding, message=message, labels=labels, label="no value", help=help_, fixes=())
    better = f"{ports[0]} -> {root.value.span.text}"
    help_ = f"write `{root.name} = {better}`"
    return replace(
        instead(finding, better, root.value.span, message=message, label="no value", help=help_), labels=labels
    )


def _head(flow: tree.Flow) -> str:
    first = flow.stages[0] if isinstance(flow, tree.Then) else flow
    return str(first.path) if isinstance(first, tree.Stage) and first.args is None else ""


def only_names(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`{ y = Linear(8) }`: a body that names flows and runs none."""
    body = innermost(nodes, tree.Body)
    lines = [] if body is None else [line for line in body.lines if isinstance(line, tree.Binding)]
    if body is None or body.span != finding.span or not lines:
        return None
    last = lines[-1]
    start = Span(last.span.source, last.name.span.start, last.value.span.start)
    message = f"`{last.name} = ...` names a flow for later, and nothing runs it"
    at, label = replace(finding, span=last.name.span), "names flows, and runs none"
    if isinstance(last.value, tree.Stage) and str(last.value.path)[:1].isupper():
        better = f"{last.name}: {last.value.span.text}"
        return instead(at, better, last.span, message=message, label=label, help=f"write `{better}` to run it")
    help_ = "leave out the name and the `=` to run it"
    return instead(at, "", start, message=message, label=label, help=help_)


def label_of_the_output(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`recon: Linear(8)`, where `recon` is one of several outputs: the label is the module's."""
    port, model = innermost(nodes, tree.Port), nodes[0]
    if port is None or port.name is None or not isinstance(model, tree.Model):
        return None
    for line in model.body.lines:
        last = line.stages[-1] if isinstance(line, tree.Then) else line
        if isinstance(last, tree.Label) and last.name.text == port.name.text:
            end = Span(line.span.source, line.span.end, line.span.end)
            message = f"`{port.name}:` names the module, and the output `{port.name}` needs a value"
            better, help_ = f" as {port.name}", f"write `{last.span.text} as {port.name}`"
            found = instead(finding, better, end, message=message, help=help_)
            return replace(found, labels=((last.name.span, "the module's name"),))
    return None


def three_inputs(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`attend(q, k, v)`."""
    call = innermost(nodes, tree.Stage) if (found := call_of(finding, nodes)) is None else found[0]
    if call is None or str(call.path) != "attend" or call.args is None or len(call.args) < 3:
        return None
    first, keys, values, *rest = call.args
    if not (is_name(first) and is_name(keys) and is_name(values)):
        return None
    given = [f"keys = {keys.span.text}", f"values = {values.span.text}", *(arg.span.text for arg in rest)]
    better = f"{first.span.text} -> attend({', '.join(given)})"
    message = "the first value comes by the arrow, and each further one by the name of its option"
    return instead(replace(finding, span=call.span), better, message=message, label="without names", code="wrong-value")


def label_as_value(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`wte + wpe`, where these are labels of modules."""
    labels = (node.name.text for node in tree.walk(nodes[0]) if isinstance(node, tree.Label))
    if finding.labels or finding.span.text not in labels:  # a shape of its own is told beside where it was made
        return None
    label = f"`{finding.span.text}` is the module, which runs once more here"
    help_ = f"its value has a name of its own: `... as {finding.span.text}` on the line of the module"
    return replace(finding, label=label, help=help_)


def activation_layer(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Activation("relu")`."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.path.span != finding.span or str(call.path) != "Activation" or len(call.args or ()) != 1:
        return None
    word = nearest((call.args or (call,))[0].span.text.strip('"'), FUNCTIONS, SPELLINGS)
    return None if word is None else instead(finding, word, call.span)


def concat_of_inputs(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`concat(x, z)`, where nothing runs yet: the first comes by the arrow."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.span != finding.span or str(call.path) != "concat" or not call.args:
        return None
    first = call.args[0]
    args = first.entries if isinstance(first, tree.List) else call.args
    values = [arg.span.text for arg in args if is_name(arg)]
    options = [arg.span.text for arg in call.args if isinstance(arg, tree.Keyword)]
    if len(values) < 2:
        return None
    better = f"{values[0]} -> concat({', '.join([*values[1:], *options])})"
    return instead(finding, better, call.span)


def body_in_parentheses(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`repeat(3, residual(..))`."""
    call = innermost(nodes, tree.Stage) if (found := call_of(finding, nodes)) is None else found[0]
    if call is None or call.body is not None or call.args is None or len(call.args) != 2:
        return None
    if str(call.path) not in ("repeat", "share", "experts"):
        return None
    count, body = call.args
    if isinstance(body, tree.Keyword) or isinstance(count, tree.Keyword) or is_name(body):
        return None
    better = f"{call.path}({count.span.text}) {{ {body.span.text} }}"
    at = replace(finding, span=body.span)
    message = f"the body of `{call.path}` stands in braces"
    return instead(at, better, call.span, message=message, label="in parentheses", code="missing-body")


def branch_in_parentheses(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`residual(Linear(64))`."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.body is not None or str(call.path) != "residual":
        return None
    stages = [arg.span.text for arg in call.args or () if not isinstance(arg, tree.Keyword)]
    options = ", ".join(arg.span.text for arg in call.args or () if isinstance(arg, tree.Keyword))
    if not stages:
        return None
    better = f"residual{f'({options})' if options else ''} {{ {' -> '.join(stages)} }}"
    return instead(finding, better, call.span, message="the body of `residual` stands in braces")


def flows_to_join(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`concat(Linear(5), Linear(5))`: flows that all begin with the value at hand."""
    call = innermost(nodes[: len(nodes) - 1], tree.Stage) if (found := call_of(finding, nodes)) is None else found[0]
    args = () if call is None else call.args or ()
    first = args[0] if args else None
    flows = first.entries if isinstance(first, tree.List) else args
    flows = [flow for flow in flows if not isinstance(flow, tree.Keyword | tree.Entry)]
    if call is None or str(call.path) not in ("concat", "stack") or len(flows) < 2 or any(map(is_name, flows)):
        return None
    channels = any("Conv" in flow.span.text for flow in flows)
    options = [arg.span.text for arg in args if isinstance(arg, tree.Keyword)]
    options = options or ["axis = 1" if channels else "axis = -1"]
    better = f"[{', '.join(flow.span.text for flow in flows)}] -> {call.path}({', '.join(options)})"
    message = "flows that work on one value are a list, and what they give is joined behind it"
    at = replace(finding, span=call.span)
    return instead(at, better, call.span, message=message, label="no values yet", help=f"write `{better}`")


def soft_cap(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`softcap(30)`: an option of attention, and a function that a file gives itself."""
    if finding.span.text not in ("cap", "softcap", "soft_cap", "logit_cap", "softcapping", "logit_softcapping"):
        return None
    word = finding.span.text
    help_ = f"write `{word}(x, limit = 30) = limit * tanh(x / limit)` above the model; scores of an attention have the "
    return replace(finding, help=f"{help_}option `softcap = 30`", fixes=())


def width_of_attention(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`MultiheadAttention(512, 8)`: the width, then the heads."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.path.span != finding.span or call.args is None or len(call.args) < 2:
        return None
    if call.path.parts[-1] not in ("MultiheadAttention", "MultiHeadAttention"):
        return None
    width, heads, *rest = call.args
    if isinstance(width, tree.Keyword) or isinstance(heads, tree.Keyword):
        return None
    better = f"SelfAttention({', '.join(arg.span.text for arg in (heads, *rest))})"
    message = "attention of a sequence to itself is `SelfAttention`, which knows the width of what comes in"
    return instead(finding, better, call.span, message=message)


def global_pooling(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`GlobalAveragePooling2D()`: the mean over the axes behind the channels. Of their maximum one has to say how many
    entries there are."""
    call = innermost(nodes, tree.Stage)
    found = _GLOBAL_POOLING.fullmatch(finding.span.text)
    if call is None or found is None or call.path.span != finding.span or call.body is not None:
        return None
    count = int(found[2]) if found[2] else _axes_behind_channels(nodes[0])
    if not count:
        return None if found[1].lower() == "max" else instead(finding, "mean(over = 1)", call.span)
    if found[1].lower() == "max":
        size = f"[{', '.join(['7'] * count)}]" if count > 1 else "7"
        help = f"it is `max_pool({size}) -> flatten` where each axis has 7 entries"
        return replace(finding, help=help, fixes=())
    axes = ", ".join(f"-{i}" for i in range(count, 0, -1))
    return instead(finding, f"mean(over = [{axes}])", call.span)


def _axes_behind_channels(item: tree.Node) -> int:
    """How many axes a layer without a number in its name is to pool, as the text around it has it; 0 for vectors in a
    sequence, whose channels come last."""
    written = re.search(r"\bConv(?:Transpose)?([123])[dD]\b", item.span.text)
    if written:
        return int(written[1])
    signature = item.signature if isinstance(item, tree.Model | tree.Block) else None
    rank = len(signature.inputs[0].shape.dims) if signature and signature.inputs else 4
    return rank - 2 if rank > 3 else 0


def mixture_of_experts(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`MixtureOfExperts(8, top_k = 2)`: copies of a body, which stands in braces."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.path.span != finding.span or call.body is not None:
        return None
    if not _EXPERTS.fullmatch(str(call.path)):
        return None
    count, top = _given(call, _COPIES, 0), _given(call, _CHOSEN, -1) or "2"
    count = "8" if count in ("", "0") else count
    if count.isdecimal() and top.isdecimal():
        top = str(min(int(top), int(count)))  # a token goes through no more experts than there are
    constants = re.findall(r"^(\w+)[ \t]*=", call.span.source.text, re.M)
    width = _given(call, _WIDTH[0], -1) or next((name for name in _WIDTH_NAMES if name in constants), "64")
    hidden = _given(call, _HIDDEN[0], -1) or (f"{4 * int(width)}" if width.isdecimal() else f"4 * {width}")
    better = f"experts({count}, top = {top}) {{ Linear({hidden}) -> gelu -> Linear({width}) }}"
    message = f"{finding.message}: each expert is a copy of a body in braces"
    return instead(finding, better, call.span, message=message)


def transformer_layer(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`TransformerEncoderLayer(512, 8)`."""
    if finding.fixes or finding.help or not _ENCODERS.fullmatch(finding.span.text):
        return None
    call = innermost(nodes, tree.Stage)
    width, heads, hidden = (_given(call, names, at) for names, at in (_WIDTH, _HEADS, _HIDDEN))
    wide = hidden or (f"{4 * int(width)}" if width.isdecimal() else f"4 * {width or 'D'}")
    return replace(
        finding,
        help=f"it is two residuals: `residual(pre = LayerNorm) {{ SelfAttention({heads or 8}) }}`,"
        f" and one around `Linear({wide}) -> gelu -> Linear({width or 'D'})`",
    )


def _given(call: tree.Stage | None, names: tuple[str, ...], at: int) -> str:
    """What a call gives for an option of several names that stands at a place (-1: at none); empty where it gives
    none."""
    args = () if call is None else call.args or ()
    by_name = (arg.value.span.text for arg in args if isinstance(arg, tree.Keyword) and arg.name.text in names)
    by_place = (
        arg.span.text for arg in (args[at : at + 1] if at >= 0 else ()) if isinstance(arg, tree.Number) or is_name(arg)
    )
    return next(by_name, next(by_place, ""))


def dim_of_nothing(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`SqueezeExcite(C // 4)`, where no input calls a dim `C`."""
    sum_ = innermost(nodes, tree.Binary)
    if sum_ is None or finding.fixes or not re.fullmatch(r"[A-Z]", finding.span.text):
        return None
    message = f"there is no dim `{finding.span.text}` here"
    help_ = "dims have their names from the inputs of the model or block, such as `[B, C, H, W]`; else give the number"
    return replace(finding, message=message, help=help_)


def lowercase_axis(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`mean(over = [h, w])`."""
    option = innermost(nodes, tree.Keyword)
    if option is None or finding.fixes or finding.help or option.name.text not in ("over", "axis"):
        return None
    return replace(
        finding, help="an axis is the name of its dim as an input has it, or its position, 0 being the batch"
    )


def further_input(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Dec(memory = m)`, where `memory` is a parameter of the block."""
    call, name = innermost(nodes, tree.Stage), finding.message.split("`")[1]
    for node in reversed(nodes):
        if isinstance(node, tree.Stage) and node.args:
            call = node
            break
    if call is None:
        return None
    help_ = (
        f"make it an input: `block {call.path}: (x: [...], {name}: [...]) -> [...]`, called `{call.path}({name} = ...)`"
    )
    return replace(finding, help=help_)


def python_package(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`import torch`."""
    if finding.span.text.partition(".")[0] not in ("torch", "numpy", "keras", "tensorflow", "jax", "flax"):
        return None
    line = whole_line(nodes[0].span)
    message = f"`{finding.span.text}` is Python: layers and functions are here without an import"
    return instead(finding, "", line, message=message, label="not needed", help="leave the line out")


def inner_label(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`b`, where `b:` stands in the group `a: { }`."""
    stage = innermost(nodes, tree.Stage)
    if stage is None or not is_name(stage) or stage.span != finding.span:
        return None
    # Most names are no label anywhere: the text says so quicker than the tree.
    if re.search(rf"\b{finding.span.text}[ \t]*:", nodes[0].span.text) is None:
        return None
    paths = [path for path in _paths_of_labels(nodes[0]) if path[-1] == finding.span.text and len(path) > 1]
    if len(paths) != 1:
        return None
    better = ".".join(paths[0])
    return instead(finding, better, message=f"`{finding.span.text}` is a label inside `{'.'.join(paths[0][:-1])}`")


def _paths_of_labels(node: tree.Node, around: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The labels below a node, each behind those of the groups that hold it."""
    todo = [(node, around)]
    while todo:
        node, path = todo.pop()
        if isinstance(node, tree.Label):
            path = (*path, node.name.text)
            yield path
        todo.extend((child, path) for child in tree.children(node))


FLOWS: dict[str, tuple[Rule, ...]] = {
    "unknown-function": (own_flow_called, global_pooling, mixture_of_experts, soft_cap),
    "unknown-name": (
        own_flow_called,
        soft_cap,
        inner_label,
        lowercase_axis,
        global_pooling,
        mixture_of_experts,
        depthwise,
    ),
    "unknown-layer": (
        width_of_attention,
        activation_layer,
        global_pooling,
        mixture_of_experts,
        depthwise,
        transformer_layer,
        dim_of_nothing,
    ),
    "unknown-import": (python_package,),
    "wrong-value": (three_inputs, body_in_parentheses, flow_in_parentheses, value_by_place),
    "missing-option": (three_inputs, value_by_place),
    "missing-body": (body_in_parentheses, branch_in_parentheses),
    "nothing-flows": (three_inputs, concat_of_inputs),
    "shape-mismatch": (label_as_value,),
    "not-a-value": (flow_where_a_value_is_taken, flows_to_join),
    "empty-body": (only_names,),
    "missing-output": (label_of_the_output,),
    "value-as-parameter": (further_input,),
}
