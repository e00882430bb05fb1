"""What one writes who knows another tool, and how the same is said here."""

from __future__ import annotations

from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..layers import registry
from ..semantics.language import FUNCTIONS, LAYERS, OPTION_SPELLINGS, SPELLINGS
from ..semantics.nearest import nearest
from .around import Nodes, Rule, also, call_of, innermost, instead, out_of_call, value_of, whole_line, with_comma

PACKAGES = frozenset("nn torch F tf keras layers jax jnp np numpy flax linen functional optim self K".split())
"""What other tools put before a layer or function."""

NEEDLESS = {
    **dict.fromkeys(
        "in in_features in_channels input_dim input_size input_shape in_dim num_features normalized_shape".split(),
        "the width of what comes in is known",
    ),
    **dict.fromkeys("inplace batch_first key rngs".split(), "how it is computed is not part of a spec"),
    "padding_mode": "zeros are put around, and nothing else",
    **dict.fromkeys("device dtype".split(), "where and how precisely it is computed is a matter of the recipe"),
}
"""Options that are to be left out, and why."""

PADDINGS = {"same": "same", "valid": "0"}
"""What TensorFlow calls a padding -> what it is here."""

_INITIALS = {"he_": "he", "kaiming_": "he", "glorot_": "xavier", "xavier_": "xavier", "orthogonal_": "orthogonal"}
ACTIVATIONS = ("activation", "act", "act_fn", "nonlinearity")
_OPEN_DIMS = "BTSHWNMK"


# --- names ---------------------------------------------------------------------------------------------------------


def package(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`nn.Linear`, `F.relu`, `self.head`, `torch.optim.AdamW`."""
    path, call = innermost(nodes, tree.Path), innermost(nodes, tree.Stage)
    if path is None and call is not None and call.span == finding.span:
        path = call.path
    known = finding.fixes or finding.help.startswith("write ")
    if path is None or len(path.parts) < 2 or path.parts[0] not in PACKAGES or known:
        return None
    last = path.parts[-1]
    if path.parts[0] == "self":
        message = "a module is called by its label alone"
        return instead(finding, last, path.span, message=message, label="there is no `self`")
    meant = nearest(last, LAYERS | FUNCTIONS, SPELLINGS) or last
    better, span = meant, path.span
    if call is not None and call.args and call.body is None:
        if meant == "Linear" and len(call.args) == 2 and all(_is_size(arg) for arg in call.args):
            better, span = f"Linear({call.args[1].span.text})", call.span
        elif meant in FUNCTIONS and len(call.args) == 1 and isinstance(call.args[0], tree.Stage):
            better, span = f"{call.args[0].span.text} -> {meant}", call.span
    message = "layers and functions stand without a package"
    return instead(finding, better, span, message=message, label="a name of another tool")


def method(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`x.relu()`, where `x` is a value."""
    path, call = innermost(nodes, tree.Path), innermost(nodes, tree.Stage)
    if path is None or call is None or len(path.parts) != 2 or path.parts[0] not in _values(nodes[0]):
        return None
    value, word = path.parts
    meant = nearest(word, LAYERS | FUNCTIONS, SPELLINGS)
    if meant is None:
        return None
    span, args = call.span if call.args == () else path.span, ""
    if meant == "reshape" and call.args and not isinstance(call.args[0], tree.List):
        span, args = call.span, f"([{', '.join(arg.span.text for arg in call.args)}])"
    message = "a function is applied by the arrow"
    return instead(finding, f"{value} -> {meant}{args}", span, message=message, label=f"`{value}` is a value")


def _values(item: tree.Node) -> set[str]:
    """The names of an item's ports and values."""
    found: set[str] = set()
    for node in tree.walk(item):
        if isinstance(node, tree.Port | tree.Binding) and node.name is not None:
            found.add(node.name.text)
        elif isinstance(node, tree.Named):
            found.update(name.text for name in node.names)
    return found


def whole_call(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`nn.Linear(8, 16)`, `F.relu(x)`, `Dense(8, activation = "relu")`: with the name, what goes with it there."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.path.span != finding.span or not finding.fixes or finding.fixes[0].span != finding.span:
        return None
    better = _call_in_words_of_here(call, finding.fixes[0].text)
    return None if better is None else instead(finding, better, call.span)


def _call_in_words_of_here(call: tree.Stage, word: str) -> str | None:
    """What a call of another tool's is here, where more of it changes than its name to `word`; else None."""
    args, text = list(call.args or ()), call.span.source.text
    if not args or call.body is not None:
        return None
    placed = [arg for arg in args if not isinstance(arg, tree.Keyword)]
    if word in FUNCTIONS and len(placed) == len(args) == 1 and isinstance(args[0], tree.Stage):
        return f"{args[0].span.text} -> {word}"
    kept = [arg for arg in args if not (isinstance(arg, tree.Keyword) and arg.name.text in NEEDLESS)]
    if word == "Linear" and len(placed) > 1 and all(map(_is_size, placed[:2])):
        kept = [arg for arg in kept if arg is not args[0]]
    ends = [arg for arg in kept if isinstance(arg, tree.Keyword) and arg.name.text in ACTIVATIONS]
    after = nearest(written_option(ends[0]), FUNCTIONS, SPELLINGS) if len(ends) == 1 else None
    kept = [arg for arg in kept if after is None or arg not in ends]
    words = [argument_in_words_of_here(arg, word) for arg in kept]
    if words == [arg.span.text for arg in args]:
        return None
    options = ", ".join(words)
    before = text[call.path.span.end : args[0].span.start]
    better = f"{word}{before}{options})" if options else word
    return better if after is None else f"{better} -> {after}"


def argument_in_words_of_here(arg: tree.Flow | tree.Keyword, word: str) -> str:
    """`kernel_size = 3` of a `Conv2d` as `kernel = 3`, `padding = "SAME"` as `pad = same`; else as it stands."""
    kind = registry.find(word)
    if not isinstance(arg, tree.Keyword) or kind is None:
        return arg.span.text
    name, value, options = arg.name.text, arg.value.span.text, kind.options
    meant = name if name in options else OPTION_SPELLINGS.get(name)
    if meant not in options:
        return arg.span.text
    if meant == "pad" and isinstance(arg.value, tree.String):
        value = PADDINGS.get(arg.value.value.lower(), value)
    if meant == "init":
        value = _initial(value) or value
    return f"{meant} = {value}" if (meant, value) != (name, arg.value.span.text) else arg.span.text


def chain(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Sequential(f, g)`."""
    call = innermost(nodes, tree.Stage)
    if call is None or not call.args or call.path.parts[-1] not in ("Sequential", "Compose", "Chain", "Stack"):
        return None
    args = call.args[0].entries if len(call.args) == 1 and isinstance(call.args[0], tree.List) else call.args
    if not args or any(isinstance(arg, tree.Keyword | tree.Entry) for arg in args):
        return None
    better = " -> ".join(map(_stage_in_words_of_here, args))
    message = "stages follow each other by arrows, or line by line"
    return instead(finding, better, call.span, message=message, label="not needed")


def _stage_in_words_of_here(stage: tree.Node) -> str:
    """`nn.ReLU()` as `relu`; what is of this language as it stands."""
    if not isinstance(stage, tree.Stage) or stage.body is not None:
        return stage.span.text
    last = stage.path.parts[-1]
    word = SPELLINGS.get(last, last)
    if word not in LAYERS | FUNCTIONS or (len(stage.path.parts) > 1 and stage.path.parts[0] not in PACKAGES):
        return stage.span.text
    rest = stage.span.source.text[stage.path.span.end : stage.span.end] if stage.args else ""
    return _call_in_words_of_here(stage, word) or f"{word}{rest}"


def reassigned(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`x = relu(x)`, where `x` is a value already."""
    line = innermost(nodes, tree.Binding)
    if line is None or line.name.span != finding.span:
        return None
    start = Span(line.span.source, line.name.span.start, line.value.span.start)
    message = f"`{line.name}` is given already, and what a line gives flows on without a name"
    return instead(finding, "", start, message=message, help="leave out the name and the `=`")


def open_flow(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`fc = Linear(10)`, and nothing runs it."""
    line = innermost(nodes, tree.Binding)
    if line is None or line.name.span != finding.span or finding.severity != "error":
        return None
    if not any(isinstance(node, tree.Stage | tree.Label | tree.Body) for node in tree.walk(line.value)):
        alone = whole_line(line.span)
        if alone.text.strip() != line.span.text:
            return finding
        return instead(finding, "", alone, help="use it or take the line out")
    message = f"`{line.name} = ...` names a flow for later, and nothing runs it"
    gap = Span(line.span.source, line.name.span.end, line.value.span.start)
    if isinstance(line.value, tree.Stage) and line.value.path.parts[-1][:1].isupper():
        help_ = f"write `{line.name}: {line.value.span.text}` to run it here"
        return instead(finding, ": ", gap, message=message, help=help_)
    whole = Span(gap.source, line.name.span.start, gap.end)
    return instead(finding, "", whole, message=message, help="leave out the name and the `=` to run it here")


def flow_called_like_the_output(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`logits = Linear(10)` as the last line, where `logits` is an output."""
    port = innermost(nodes, tree.Port)
    if port is None or port.name is None or not isinstance(nodes[0], tree.Model) or "flows out" not in finding.message:
        return None
    line = nodes[0].body.lines[-1]
    if not isinstance(line, tree.Binding) or line.name.text != port.name.text:
        return None
    start = Span(line.span.source, line.name.span.start, line.value.span.start)
    message = f"`{line.name} = ...` names a flow, and nothing runs it: {finding.message}"
    labels = ((line.name.span, "a name for later"),)
    return replace(
        instead(finding, "", start, message=message, help="leave out the name and the `=` to run it"), labels=labels
    )


# --- calls ---------------------------------------------------------------------------------------------------------


def nested_call(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`relu(x)`."""
    found = call_of(finding, nodes)
    if found is None or len(found[0].args or ()) != 1 or "no options" not in finding.message:
        return None
    if isinstance(nodes[0], tree.Train):
        return None  # nothing flows there
    if found[0].body is not None or finding.span.text[:1] in '0123456789-"':
        return None  # which does not flow
    call, line, given = found[0], innermost(nodes, tree.Binding), finding.span.text
    again = line is not None and line.value is call and line.name.text == given
    better = str(call.path) if again else f"{given} -> {call.path}"
    what = "layer" if str(call.path)[:1].isupper() else "function"
    message = f"what goes through a {what} comes by the arrow"
    return instead(finding, better, call.span, message=message, label="in parentheses", code="foreign-call")


def width_in(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8, 4)`."""
    found = call_of(finding, nodes)
    if found is None or found[0].path.parts != ("Linear",) or found[1] != 1 or not found[0].args:
        return None
    call, args = found[0], found[0].args
    if "true or false" not in finding.message or not _is_size(args[0]) or not _is_size(args[1]):
        return None
    if isinstance(args[1], tree.Number) and not args[1].value:
        return instead(finding, "bias = false", args[1].span)  # Python's false
    drop = Span(call.span.source, args[0].span.start, args[1].span.start)
    better = f"{call.path}({', '.join(arg.span.text for arg in args[1:])})"
    message = "`Linear` is told the width that comes out; the one that comes in is known"
    return instead(finding, "", drop, message=message, label="this would be `bias`", help=f"write `{better}`")


def width_of_norm(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`LayerNorm(8)`."""
    found = call_of(finding, nodes)
    if found is None or found[1] or not str(found[0].path).endswith("Norm") or not found[0].args:
        return None
    if found[0].path.parts == ("GroupNorm",):
        return None  # which takes a number: that of its groups
    call, args = found[0], found[0].args
    if isinstance(args[0], tree.Keyword) or not _is_size(args[0]):
        return None
    better = f"{call.path}({', '.join(arg.span.text for arg in args[1:])})".replace("()", "")
    message = f"`{call.path}` is as wide as what comes in, and takes no width"
    label = f"this would be `{finding.message.split('`')[1]}`"
    drop = with_comma(args, 0) if len(args) > 1 else Span(call.span.source, call.path.span.end, call.span.end)
    return instead(finding, "", drop, message=message, label=label, help=f"write `{better}`")


def usual_base(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`rotary = true`."""
    if finding.span.text != "true" or not finding.message.startswith("`rotary`"):
        return None
    return instead(finding, "10_000", help="write `10_000`, the usual base")


def _is_size(node: tree.Node) -> bool:
    return isinstance(node, tree.Number | tree.Binary) or (isinstance(node, tree.Stage) and node.args is None)


def padding(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`pad = "valid"`, `pad = SAME`."""
    option = innermost(nodes, tree.Keyword)
    better = PADDINGS.get(finding.span.text.strip('"').lower())
    if option is None or better is None or option.name.text != "pad" or option.value.span != finding.span:
        return None
    return instead(finding, better, help=f"write `pad = {better}`")


def initial(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`init = "he_normal"`, `init = glorot_uniform`."""
    option = innermost(nodes, tree.Keyword)
    better = _initial(finding.span.text)
    if option is None or better is None or option.name.text != "init" or option.value.span != finding.span:
        return None
    return instead(finding, better)


def _initial(written: str) -> str | None:
    return next((word for start, word in _INITIALS.items() if written.strip('"').startswith(start)), None)


def decimal_comma(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Dropout(0,1)`."""
    found = call_of(finding, nodes)
    args = () if found is None else (found[0].args or ())[max(found[1] - 1, 0) : found[1] + 1]
    if len(args) != 2 or not all(isinstance(arg, tree.Number) for arg in args):
        return None
    before, after = args[0].span, args[1].span
    if after.start != before.end + 1:
        return None
    message = "a comma separates arguments; a fraction is written with a point"
    return instead(finding, f"{before.text}.{after.text}", before.to(after), message=message)


def needless(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(4, in_features = 8)`."""
    found = call_of(finding, nodes)
    option = None if found is None else (found[0].args or ())[found[1]]
    if found is None or not isinstance(option, tree.Keyword) or option.name.text not in NEEDLESS:
        return None
    message = f"`{found[0].path}` has no option `{option.name}`: {NEEDLESS[option.name.text]}"
    if option.name.text == "padding_mode" and option.value.span.text.strip('"') != "zeros":
        return replace(finding, message=message, help="there is no other way", fixes=())
    return instead(finding, "", out_of_call(*found), message=message, help="leave it out")


def activation(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8, activation = relu)`."""
    found = call_of(finding, nodes)
    option = None if found is None else (found[0].args or ())[found[1]]
    if found is None or not isinstance(option, tree.Keyword):
        return None
    if option.name.text not in ACTIVATIONS:
        return None
    word = nearest(written_option(option), FUNCTIONS, SPELLINGS)
    if word is None:
        return None
    better = f"{_without(*found)} -> {word}"
    message = "an activation is a stage of its own"
    return instead(finding, better, found[0].span, message=message, label="not an option here")


def named_by_option(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(8, name = "fc1")`."""
    found = call_of(finding, nodes)
    option = None if found is None else (found[0].args or ())[found[1]]
    if found is None or not isinstance(option, tree.Keyword) or option.name.text not in ("name", "id"):
        return None
    name = written_option(option)
    labelled = any(isinstance(node, tree.Label) and node.target is found[0] for node in nodes)
    if labelled or not name.isidentifier() or not name[0].islower():
        return None
    message = "a module is given its name by a label"
    return instead(finding, f"{name}: {_without(*found)}", found[0].span, message=message, label="not an option here")


def written_option(option: tree.Keyword) -> str:
    return option.value.value if isinstance(option.value, tree.String) else option.value.span.text


def _without(call: tree.Stage, i: int) -> str:
    """A call as it is written, without one of its arguments."""
    cut, whole = with_comma(call.args or (), i), call.span
    return whole.source.text[whole.start : cut.start] + whole.source.text[cut.end : whole.end]


def compared_option(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(4, bias == false)`."""
    compared = innermost(nodes, tree.Binary)
    if compared is None or compared.operator != "==" or compared.left.span != finding.span:
        return None
    if not any(isinstance(node, tree.Stage) and compared in (node.args or ()) for node in nodes):
        return None
    gap = Span(compared.span.source, compared.left.span.end, compared.right.span.start)
    message = f"`{finding.span.text}` is given its value with `=`"
    return instead(finding, " = ", gap, message=message, label="compared here", help="write `=`")


def remark(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`relu  // wide`, `hidden = 64 // width`, `batch = 64 -- examples`: a word that nothing is called by, behind
    what begins a comment elsewhere."""
    divided = innermost(nodes, tree.Binary)
    if divided is not None and divided.operator == "//" and divided.right.span != finding.span:
        return None
    negated = None if divided is None else divided.right
    if divided is None or (divided.operator == "-" and not isinstance(negated, tree.Negate)):
        return None
    source, left = finding.span.source, divided.left.span
    gap = source.text[left.end : finding.span.start]
    sign = gap.strip(" \t")
    if sign not in ("//", "--") or source.text[finding.span.end :].partition("\n")[0].strip():
        return None
    # A number and a name that is like another are more likely a quotient, unless they stand far apart.
    apart = gap.startswith("  ")
    if finding.fixes and not apart:
        return None
    at = left.end + gap.index(sign)
    label = "`//` divides and rounds down" if sign == "//" else "this takes a negative number away"
    if not apart and not isinstance(divided.left, tree.Number):
        help_ = "a comment begins with `#`; a number that stands here is given above, `name = ...`"
        return replace(finding, help=help_)
    message, place = "a comment begins with `#`", Span(source, at, at + 2)
    return instead(finding, "#", place, message=message, label=label, code="foreign-comment")


# --- dims ----------------------------------------------------------------------------------------------------------


def open_dim(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`[None, 8]`, `[-1, 8]`, `[?, 8]`."""
    before = finding.span.source.text[: finding.span.start].rstrip()[-1:]
    if finding.span.text not in ("?", "-1", "None", "none") or before not in ("[", ","):
        return None
    shape = innermost(nodes, tree.Shape)
    if shape is None and finding.span.text != "?":
        return None
    taken = set() if shape is None else {node.parts[0] for node in tree.walk(shape) if isinstance(node, tree.Path)}
    letter = "B" if before == "[" else next(c for c in (*_OPEN_DIMS[1:], "D") if c not in taken)
    message = "a dim that stays open until run time has a name with a capital first letter"
    return instead(finding, letter, message=message, label="no name")


def flag_left_out(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`bias = None`, which is false there, and here would leave the option what it is without being given."""
    option, call = innermost(nodes, tree.Keyword), innermost(nodes, tree.Stage)
    if finding.span.text != "None" or option is None or call is None or option.value.span != finding.span:
        return None
    kind = registry.find(str(call.path))
    field = None if kind is None else kind.options.get(option.name.text)
    if field is None or not isinstance(field.default, bool):
        return None
    message = f"`{option.name}` is `true` or `false`, and `None` is neither"
    return instead(finding, "false", message=message, label="false elsewhere")


def lowercase_dim(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`[batch, 8]`."""
    dim = innermost(nodes, tree.Path)
    if dim is None or finding.fixes or innermost(nodes, tree.Shape) is None or "`, or a Capital" in finding.help:
        return None
    name, compared = dim.parts[0], innermost(nodes, tree.Between) or innermost(nodes, tree.Binary)
    if innermost(nodes, tree.Signature) is None or not name[0].isalpha():
        return None
    if compared is not None and any(isinstance(n, tree.Path) and n.parts[0][0].isupper() for n in tree.walk(compared)):
        return None  # `T <= context`: a dim is compared with it
    message = f"there is no constant `{name}`, and a dim that stays open has a Capital name"
    return instead(finding, name[0].upper(), dim.span, message=message, label="not known here")


# --- recipes -------------------------------------------------------------------------------------------------------


def quoted(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`data = "digits"`, `metrics = ["accuracy"]`, a stage `"relu"`."""
    text = innermost(nodes, tree.String)
    if text is None or text.span != finding.span or not text.value.isidentifier():
        return None
    in_recipe = isinstance(nodes[0], tree.Train) and finding.label.startswith("not a")
    said = in_recipe or (finding.code == "not-a-flow" and text.value in FUNCTIONS)
    return also(replace(finding, help=f"write `{text.value}`, without quotes"), text.value) if said else None


def path_without_quotes(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`onnx(n.onnx)`."""
    found = call_of(finding, nodes)
    value = None if found is None else value_of((found[0].args or ())[found[1]])
    if not isinstance(value, tree.Stage) or "in quotes" not in finding.message or len(value.path.parts) < 2:
        return None
    return instead(finding, f'"{value.span.text}"', value.span)


IDIOMS: dict[str, tuple[Rule, ...]] = {
    "unknown-name": (whole_call, padding, initial, remark, chain, package, method, compared_option, lowercase_dim),
    "unknown-layer": (whole_call, padding, package, chain),
    "unknown-function": (package, method, chain),
    "unknown-option": (needless, activation, named_by_option),
    "repeated-name": (reassigned,),
    "unused-name": (open_flow,),
    "shape-mismatch": (flow_called_like_the_output,),
    "too-many-arguments": (nested_call, decimal_comma),
    "wrong-value": (width_in, width_of_norm, usual_base, padding, initial, package, quoted, path_without_quotes),
    "not-a-flow": (quoted,),
    "bad-dim": (open_dim,),
    "foreign-sign": (open_dim,),
    "foreign-word": (flag_left_out, open_dim),
}
