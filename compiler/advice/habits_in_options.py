"""Options of layers as other tools have them: without their names, under other names, in other numbers."""

from __future__ import annotations

from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..build.order import less_first, seems_in_other_order
from ..layers import registry
from ..semantics.language import FUNCTIONS, SPELLINGS
from ..semantics.nearest import nearest
from .around import Nodes, Rule, call_of, innermost, instead, is_name, out_of_call, value_of, with_comma
from .idioms import NEEDLESS

_AXIS_WORDS = ("dim", "axis", "over")
_WIDTHS = ("embed_dim", "d_model", "hidden_size", "n_embd", "kdim", "vdim")
_SIDES = ("key", "keys", "value", "values")
_RATIOS = ("reduction", "ratio", "r", "se_ratio", "reduction_ratio", "squeeze_factor")


def activation_by_place(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(16, relu)`."""
    found = call_of(finding, nodes)
    given = None if found is None else (found[0].args or ())[found[1]]
    if found is None or not found[1] or isinstance(given, tree.Keyword) or given is None:
        return None
    call, args = found[0], found[0].args or ()
    word = nearest(given.span.text.strip('"'), FUNCTIONS, SPELLINGS)
    if word is None or not str(call.path)[:1].isupper() or found[1] + 1 != len(args):
        return None
    before = call.span.source.text[call.span.start : args[found[1] - 1].span.end]
    message = "an activation is a stage of its own"
    return instead(finding, f"{before}) -> {word}", call.span, message=message, label="not an option here")


def one_list(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`reshape(B, 4, 4)`, `Weight(4, 16)`: what it takes first is a list."""
    call = innermost(nodes, tree.Stage) if (found := call_of(finding, nodes)) is None else found[0]
    if call is None or str(call.path) not in ("reshape", "permute", "Weight", "normal") or not call.args:
        return None
    if any(isinstance(arg, tree.Keyword | tree.List) for arg in call.args):
        return None
    if finding.code == "wrong-value" and not (str(call.path) == "Weight" and finding.message.startswith("`init`")):
        return None
    inside = Span(call.span.source, call.args[0].span.start, call.args[-1].span.end)
    better = f"{call.path}([{inside.text}])"
    first = replace(finding, span=inside)
    message = f"`{call.path}` takes a list in brackets"
    return instead(first, f"[{inside.text}]", inside, message=message, label="no brackets", help=f"write `{better}`")


def kept_axes(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`flatten(2)`, `flatten(start_dim = 2)`: PyTorch keeps the axes before it."""
    found = call_of(finding, nodes)
    if found is None or str(found[0].path) != "flatten":
        return None
    given = (found[0].args or ())[found[1]]
    start = value_of(given)
    if isinstance(given, tree.Keyword) and given.name.text not in ("start_dim", "start", *_AXIS_WORDS):
        return None
    if not isinstance(start, tree.Number) or start.value < 2:
        return None
    help_ = 'leave it out to join them all; `rearrange("b c h w -> b c (h w)")` keeps the channels of a picture'
    return replace(finding, message="`flatten` joins all axes but the batch", help=help_, fixes=())


def channels_in(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Conv2d(3, 16, kernel_size = 3)`: the kernel has its name, so that the two before it are channels."""
    found = call_of(finding, nodes)
    args = () if found is None else found[0].args or ()
    if found is None or "Conv" not in str(found[0].path) or len(args) < 3 or isinstance(args[1], tree.Keyword):
        return None
    kernel = args[found[1]]
    if found[1] != 2 or not isinstance(kernel, tree.Keyword) or kernel.name.text not in ("kernel_size", "kernel"):
        return None
    better = f"{found[0].path}({', '.join(arg.span.text for arg in (args[1], kernel.value, *args[3:]))})"
    message = f"`{found[0].path}` is told the channels that come out; those that come in are known"
    whole, label = (
        replace(finding, span=found[0].span, labels=()),
        f"`{args[0].span.text}` and `{args[1].span.text}` are channels",
    )
    return instead(whole, better, message=message, label=label, code="wrong-value")


def width_in_and_names(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(16, features = 8)` where something else than 16 comes in: which of the numbers is meant, nobody knows."""
    found = call_of(finding, nodes)
    kind = None if found is None else registry.find(str(found[0].path))
    if found is None or kind is None or not seems_in_other_order(kind.word, list(kind.options), found[0]):
        return None
    args = list(found[0].args or ())
    first = args[0].span.text
    if value_of(args[found[1]]).span.text == first:
        return None
    return replace(finding, help=f"keep one of them; if `{first}` is what comes in, write `{less_first(found[0])}`")


def channels_of_norm(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`GroupNorm(32, 64)`."""
    found = call_of(finding, nodes)
    args = [] if found is None else list(found[0].args or ())
    if found is None or found[0].path.parts != ("GroupNorm",) or found[1] != 1 or isinstance(args[1], tree.Keyword):
        return None
    better = f"GroupNorm({', '.join(arg.span.text for arg in (args[0], *args[2:]))})"
    message = "`GroupNorm` is told how many groups there are; the channels that come in are known"
    return instead(
        finding, "", with_comma(args, 1), message=message, label="this would be `eps`", help=f"write `{better}`"
    )


def shared_weight(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Conv2d(8, 3, weight = a.weight)`."""
    found = call_of(finding, nodes)
    option = None if found is None else (found[0].args or ())[found[1]]
    if found is None or not isinstance(option, tree.Keyword) or option.name.text != "weight":
        return None
    flow = option.value
    if not isinstance(flow, tree.Stage) or len(flow.path.parts) < 2 or not str(found[0].path)[0].isupper():
        return None
    other = ".".join(flow.path.parts[:-1])
    label = next((node for node in nodes if isinstance(node, tree.Label) and node.target is found[0]), None)
    message = f"`{found[0].path}` shares no weight: `weight =` is an option of `Linear` alone"
    help_ = f"write `{other}` in place of the layer: the same module runs once more, with its weight and all else"
    return instead(finding, other, (label or found[0]).span, message=message, help=help_)


def axis(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`softmax(dim = -1)`, `concat(a, dim = 1)`."""
    found = call_of(finding, nodes)
    kind = None if found is None else registry.find(str(found[0].path))
    if kind is None or finding.fixes or finding.span.text not in _AXIS_WORDS:
        return None
    meant = next((word for word in ("axis", "over") if word in kind.options), None)
    return None if meant is None else instead(finding, meant)


def known_width(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`SelfAttention(8, embed_dim = 512)`."""
    found = call_of(finding, nodes)
    if found is None or "Attention" not in str(found[0].path) or finding.span.text not in _WIDTHS:
        return None
    message = f"`{found[0].path}` has no option `{finding.span.text}`: the width of what comes in is known"
    return instead(finding, "", out_of_call(*found), message=message, help="leave it out")


def one_memory(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`CrossAttention(2, key = mem, value = mem)`: both findings get the one edit, and are told once."""
    found = call_of(finding, nodes)
    if found is None or found[0].path.parts != ("CrossAttention",) or finding.span.text not in _SIDES:
        return None
    args = list(found[0].args or ())
    sides = [i for i, arg in enumerate(args) if isinstance(arg, tree.Keyword) and arg.name.text in _SIDES]
    message = "`CrossAttention` takes its keys and values from one `memory`"
    values = {value_of(args[i]).span.text for i in sides}
    if len(values) > 1 or any(isinstance(arg, tree.Keyword) and arg.name.text == "memory" for arg in args):
        return replace(finding, message=message, help="use `attend` where they are two values", fixes=())
    better = f"memory = {values.pop()}"
    whole = args[sides[0]].span.to(args[sides[-1]].span)
    between = [arg.span.text for i, arg in enumerate(args) if sides[0] < i < sides[-1] and i not in sides]
    return instead(finding, ", ".join([better, *between]), whole, message=message, help=f"write `{better}`")


def meant_by_position(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(n = 8)`: the one argument is what the layer cannot do without."""
    found = call_of(finding, nodes)
    kind = None if found is None else registry.find(str(found[0].path))
    if found is None or kind is None or finding.fixes or finding.span.text in NEEDLESS:
        return None
    args = found[0].args or ()
    first = next((name for name, field in kind.options.items() if field.required), None)
    if first is None or first in kind.by_name or len(args) != 1 or innermost(nodes, tree.Default) is not None:
        return None
    value = value_of(args[0])
    if not is_name(value) and not value.span.text.isdecimal():
        return None
    return instead(finding, value.span.text, args[0].span, help=f"write `{found[0].path}({value.span.text})`")


def squeeze(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`SqueezeExcite(reduction = 16)`."""
    found = call_of(finding, nodes)
    option = None if found is None else (found[0].args or ())[found[1]]
    if found is None or not isinstance(option, tree.Keyword) or str(found[0].path) != "SqueezeExcite":
        return None
    if option.name.text not in _RATIOS:
        return None
    message = "`SqueezeExcite` is told how many features there are between its two layers, not a ratio"
    help_ = f"write `SqueezeExcite(channels // {option.value.span.text})`, with the channels that come in"
    return replace(finding, message=message, help=help_, fixes=())


def quoted_flow(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`residual(pre = "LayerNorm")`."""
    text = innermost(nodes, tree.String)
    if text is None or text.span != finding.span or "takes a flow" not in finding.message:
        return None
    if not registry.find(text.value):
        return None
    return instead(finding, text.value, help=f"write `{text.value}`, without quotes")


OPTIONS: dict[str, tuple[Rule, ...]] = {
    "unknown-option": (
        kept_axes,
        known_width,
        channels_in,
        shared_weight,
        squeeze,
        axis,
        one_memory,
        meant_by_position,
    ),
    "repeated-option": (channels_in, width_in_and_names),
    "wrong-value": (quoted_flow, channels_of_norm, activation_by_place, one_list),
    "too-many-arguments": (one_list, kept_axes),
}
