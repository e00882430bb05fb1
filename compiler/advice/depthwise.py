"""Convolutions of each channel alone, for which other tools have layers: here they are convolutions in groups."""

from __future__ import annotations

import re
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ..layers import registry
from ..layers.base import Function
from ..semantics.language import FUNCTIONS, OPTION_SPELLINGS, SPELLINGS
from ..semantics.nearest import nearest
from .around import Nodes, innermost, instead
from .idioms import ACTIVATIONS, NEEDLESS, argument_in_words_of_here, written_option

_LAYERS = re.compile(r"(Separable|Depthwise)Conv(?:olution)?(?:([123])?[dD])?")
_PLACES = {"Separable": ("features", "kernel", "stride", "pad"), "Depthwise": ("kernel", "stride", "pad")}
"""What Keras's layers take by place, in the words of here."""
_SLIDES = ("stride", "pad", "dilation")
_MIXES = re.compile(r"(?:Separable)?Conv(?:olution)?(?:Transpose)?[123][dD]")
_KEEPS_CHANNELS = frozenset(
    "BatchNorm GroupNorm InstanceNorm Dropout DropPath SqueezeExcite PReLU max_pool avg_pool adaptive_avg_pool "
    "upsample residual repeat".split()
)


def depthwise(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`SeparableConv2D(64, 3)`, `DepthwiseConv2D(3, padding = "same")`."""
    call = innermost(nodes, tree.Stage)
    found = None if call is None else _LAYERS.fullmatch(call.path.parts[-1])
    if call is None or found is None or call.path.span != finding.span or call.body is not None:
        return None
    word, separable = f"Conv{found[2] or 2}d", found[1] == "Separable"
    given, after = _given(call, _PLACES[found[1]], word)
    kernel, features, bias = given.pop("kernel", "3"), given.pop("features", "64"), given.pop("bias", "true")
    channels = _channels_into(call, nodes[0])
    own = _times(given.pop("depth_multiplier", "1"), channels or "C")
    slides = "".join(f", {name} = {given.pop(name)}" for name in _SLIDES if name in given)
    without = ", bias = false"
    last = without if bias == "false" else ""
    # The first of a separable one has no bias: that of the second does as well.
    better = f"{word}({own}, {kernel}{slides}, groups = {channels or 'C'}{without if separable else last})"
    better = f"{better} -> {word}({features}, 1{last}){after}" if separable else f"{better}{after}"
    across = ", then one across them" if separable else ""
    message = f"{finding.message}: it is a convolution of each channel alone{across}"
    if channels and not given:
        return instead(finding, better, call.span, message=message)
    where = "" if channels else ", where C channels come in"
    return replace(finding, message=message, help=f"it is `{better}`{where}", fixes=())


def _times(factor: str, channels: str) -> str:
    if factor == "1":
        return channels
    numbers = factor.isdecimal() and channels.isdecimal()
    return str(int(factor) * int(channels)) if numbers else f"{factor} * {channels}"


def _given(call: tree.Stage, places: tuple[str, ...], word: str) -> tuple[dict[str, str], str]:
    """What a call gives, by its name and in the words of here, and the activation that follows (` -> relu`)."""
    given: dict[str, str] = {}
    after = ""
    for i, arg in enumerate(call.args or ()):
        if not isinstance(arg, tree.Keyword):
            given[places[i] if i < len(places) else arg.span.text] = arg.span.text
        elif arg.name.text in ACTIVATIONS:
            meant = nearest(written_option(arg), FUNCTIONS, SPELLINGS)
            after = f" -> {meant}" if meant else after
        elif arg.name.text not in NEEDLESS:
            name, _, value = argument_in_words_of_here(arg, word).partition(" = ")
            given[name] = value.lower() if name == "bias" else value
    return given, after


def _channels_into(call: tree.Stage, item: tree.Node) -> str:
    """How many channels come into a call, as the text before it says; empty where that is not plain."""
    if not isinstance(item, tree.Model | tree.Block) or item.signature is None:
        return ""
    walked = [*tree.walk(item.body)]
    stages = [node for node in walked if isinstance(node, tree.Stage)]
    arguments = {id(node) for stage in stages for arg in stage.args or () for node in tree.walk(arg)}
    before = [one for one in stages if one.span.end <= call.span.start and id(one) not in arguments]
    if any(isinstance(node, tree.Binding) for node in walked):  # what a name stands for runs elsewhere
        return ""
    ports = {port.name.text: port for port in item.signature.inputs if port.name is not None}
    for stage in reversed(before):
        port = ports.get(str(stage.path)) if stage.args is None else None
        if port is not None:
            return _of_port(port, item)
        word = SPELLINGS.get(stage.path.parts[-1], stage.path.parts[-1])
        if _MIXES.fullmatch(word):
            return _features(stage)
        kind = registry.find(word)
        if word not in _KEEPS_CHANNELS and (kind is None or not issubclass(kind, Function)):
            return ""
    return _of_port(item.signature.inputs[0], item) if len(item.signature.inputs) == 1 else ""


def _of_port(port: tree.Port, item: tree.Model | tree.Block) -> str:
    """The channels of an input: a model's are a number or a constant, a block's may have a name of their own."""
    dims = port.shape.dims
    found = _plain(dims[1]) if len(dims) > 2 else ""
    return found if isinstance(item, tree.Block) or not found[:1].isupper() else ""


def _features(stage: tree.Stage) -> str:
    """What a convolution is said to give."""
    for arg in stage.args or ():
        if not isinstance(arg, tree.Keyword):
            return _plain(arg)
        if OPTION_SPELLINGS.get(arg.name.text, arg.name.text) == "features":
            return _plain(arg.value)
    return ""


def _plain(flow: tree.Flow) -> str:
    """A number or name; empty for what would have to be worked out."""
    bare = isinstance(flow, tree.Stage) and flow.args is None and flow.body is None
    return flow.span.text if isinstance(flow, tree.Number) or bare else ""
