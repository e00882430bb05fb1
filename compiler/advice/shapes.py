"""Edits of shapes: widths that have to be equal, dims without a name, limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..build.order import CHANNELS, WIDTH
from .around import Around, Nodes, Rule, also, innermost, instead, item_of, whole_line

_LIMIT = re.compile(r"[ \t]*<=[^,\]]*")
_TYPE = r"((?:int|bool)?\[[^\]]*\])"
_TWO_WIDTHS = re.compile(r"(?:\w+: *)?((?:RNN|LSTM|GRU)|Conv\w+)\((\w+), *(\w+)\)")
_BOUND = re.compile(r"\s*((?:\w+ *<=? *)?([A-Z]\w*) *[<>]=? *\w+)\s*(?:#.*)?")
HALVED = re.compile(r"\b(\d+) \* \((\w+) // \1\)")
"""A length as it comes back that was halved: `2 * (H // 2)`, and how often and which it is."""

# An edit is one stretch of the text, from the input to the line.
_LONGEST_MOVE = 8_000
# Which argument says how wide the result is.
_WIDTHS = {"Linear": 0, "Embedding": 1, "Positions": 1, "Conv1d": 0, "Conv2d": 0, "Conv3d": 0}


def last_width(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A promise that the last layer does not keep: its width, or else the promise, is to be changed."""
    flows = re.search(f"and {_TYPE} flows out", finding.message)
    shape = innermost(nodes, tree.Shape)
    if flows is None or shape is None:
        return None
    dim = finding.span.text
    made = next((span for span, text in finding.labels if text.startswith("this makes")), None)
    width = None if made is None or dim.startswith("[") or "," in dim else _width(nodes[0], made)
    if width is not None:
        return instead(finding, dim, width, help=f"make it {_quoted(dim)} wide, or promise {flows[1]}")
    even = _even(flows[1])
    help_ = f"{even}; or promise {flows[1]}" if even else f"promise {flows[1]}, or change what flows out"
    return instead(finding, flows[1], shape.span, help=help_)


def rows_left(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(10)` on [B, 1, 8, 8], where [B, 10] is promised: the rows of a picture were not made one."""
    flows, shape = re.search(f"and {_TYPE} flows out", finding.message), innermost(nodes, tree.Shape)
    made = next((span for span, text in finding.labels if text.startswith("this makes")), None)
    if flows is None or shape is None or made is None:
        return None
    promised, found = (text.strip("[]").split(", ") for text in (shape.span.text, flows[1]))
    if len(promised) != 2 or len(found) < 4 or [found[0], found[-1]] != promised:
        return None
    if not made.text.startswith("Linear("):
        return None
    labels = (node.span for node in tree.walk(nodes[0]) if isinstance(node, tree.Label) and node.target.span == made)
    stage = next(labels, made)
    start = Span(stage.source, stage.start, stage.start)
    help_ = f"write `flatten -> {stage.text}`: `Linear` works on the last axis alone; or promise {flows[1]}"
    return instead(finding, "flatten -> ", start, help=help_)


def width_in_first(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`LSTM(16, 8)` or `Conv2d(16, 8)` as the last stage, where 8 is promised and 16 flows out."""
    flows = re.search(r"and \[([^\]]*)\] flows out", finding.message)
    shape = innermost(nodes, tree.Shape)
    made = next((span for span, text in finding.labels if text.startswith("this makes")), None)
    call = None if made is None else _TWO_WIDTHS.fullmatch(made.text)
    if flows is None or shape is None or made is None or call is None:
        return None
    word, first, second = call.groups()
    convolves = word.startswith("Conv")
    promised, made_of = shape.span.text.strip("[]").split(", "), flows[1].split(", ")
    axis = 1 if convolves else -1
    if len(promised) != len(made_of) or promised[axis] != second or made_of[axis] != first:
        return None
    told = replace(
        finding,
        code="wrong-value",
        message=f"`{word}` is told {CHANNELS if convolves else WIDTH}",
        span=Span(made.source, made.start + call.start(1), made.end),
        label=f"this would be {f'a kernel of {second}' if convolves else f'{second} layers'}",
        labels=((finding.span, finding.label),),
    )
    if convolves:
        return replace(told, help=f"write `{word}({second}, kernel = ...)`")
    drop = Span(made.source, made.start + call.start(2), made.start + call.start(3))
    return instead(told, "", drop, help=f"write `{word}({second})`")


def _quoted(dim: str) -> str:
    """A width in a sentence: `out` as a name, 64 as it stands."""
    return dim if dim.replace("_", "").isdigit() else f"`{dim}`"


def _even(text: str) -> str:
    """How a length comes back as it was that is halved and doubled: `2 * (H // 2)`."""
    found = dict.fromkeys((n, name) for n, name in HALVED.findall(text))
    lengths = [f"`{n} * {name}` for `{name}`" for n, name in found]
    return f"write {' and '.join(lengths)} in the input: what is a multiple comes back whole" if lengths else ""


def halved(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A skip connection of a U-Net whose lengths need not be even."""
    even = _even(finding.message) if item_of(nodes, tree.Model) is not None else ""
    return replace(finding, help=even) if even and finding.message.startswith("concat ") else None


def _width(item: tree.Node, place: Span) -> Span | None:
    """Where the width of the stage at a place is written."""
    whole = tree.File(None, (item,), span=item.span)  # type: ignore[arg-type]
    for node in Around(whole).nodes(place):
        stage = node.target if isinstance(node, tree.Label) else node
        if stage.span.end != place.end or not isinstance(stage, tree.Stage):
            continue
        i = _WIDTHS.get(str(stage.path))
        args = stage.args or ()
        if i is not None and i < len(args) and not isinstance(args[i], tree.Keyword):
            return args[i].span
    return None


def equal_sides(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(4) + Linear(6)`."""
    sides = [(span, text) for span, text in finding.labels if text.startswith("this side is [")]
    if len(sides) != 2 or not nodes:
        return None
    wanted = sides[0][1].rstrip("]").rpartition(", ")[2]
    width = _width(nodes[0], sides[1][0])
    if width is None:
        return None
    return instead(finding, wanted, width, help=f"make both sides {wanted} wide; {finding.help.rpartition('; ')[2]}")


def residual_width(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A body that ends wider than what comes in."""
    found = re.search(r"\[[^\]]*?([^,\]]+)\] comes in, \[", finding.message)
    call = innermost(nodes, tree.Stage)
    if found is None or call is None or call.body is None or not call.body.lines:
        return None
    last, width = call.body.lines[-1].span, found[1].strip()
    end = Span(last.source, last.end, last.end)
    return also(finding, f" -> Linear({width})", end)


def heads(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A width that does not divide into so many heads."""
    found = re.match(r"(?:(\d+)|.+ \((\d+)\)) does not divide into (\d+) heads", finding.message)
    call = innermost(nodes, tree.Stage)
    if found is None or call is None or not call.args:
        return None
    width, count = int(found[1] or found[2]), int(found[3])
    best = next(n for n in range(min(count, width), 0, -1) if width % n == 0)
    first = call.args[0]
    if best == 1 or isinstance(first, tree.Keyword) or first.span.text != str(count):
        return None
    return instead(finding, str(best), first.span, help=f"take {best} heads; or {finding.help}")


def whole_numbers(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A table that is given vectors, straight from an input."""
    found = re.search(r"looks up whole numbers, and (\[[^\]]*\]) comes in", finding.message)
    model = item_of(nodes, tree.Model)
    if found is None or model is None:
        return None
    shapes = [port.shape for port in model.signature.inputs if port.shape.dtype is None]
    shape = next((shape for shape in shapes if _LIMIT.sub("", shape.span.text) == found[1]), None)
    if shape is None:
        return None
    start = Span(shape.span.source, shape.span.start, shape.span.start)
    told = replace(finding, labels=(*finding.labels, (shape.span, f"the input is {found[1]}")))
    return instead(told, "int", start, help=f"write `int{shape.span.text}` in the input; {finding.help}")


def limit_of_input(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`write T <= 16 in the input of the model`, where a least or a largest value may stand already."""
    found = re.search(r"write `((\w+) ([<>]=) (\S+))` in the input", finding.help)
    model = item_of(nodes, tree.Model)
    if found is None or model is None:
        return None
    wanted, name, sign, size = found.groups()
    for dim in (dim for port in model.signature.inputs for dim in port.shape.dims):
        said = re.fullmatch(rf"{name}(?: ([<>]=) (\w+))?", dim.span.text)
        if said is None:
            continue
        if said[1] in (None, sign):
            return also(finding, wanted, dim.span)
        least, most = (said[2], size) if sign == "<=" else (size, said[2])
        return also(finding, f"{least} <= {name} <= {most}", dim.span)
    return None


def table_as_long(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    found = re.fullmatch(r"make the table as long: `([^`]+)`", finding.help)
    return None if found is None else also(finding, found[1])


def other_window(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """Data that is longer, or shorter, than the model takes."""
    found = re.search(r"is at (?:most|least) (?:\w+ \()?(\d+)", finding.label)
    if found is None or not finding.span.text.replace("_", "").isdigit():
        return None
    return also(finding, found[1])


def shape_of_data(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """An input of another shape than the field of its name."""
    found = re.search(f"the field `\\w+` of `\\w+` is {_TYPE}$", finding.message)
    port = next((span for span, text in finding.labels if text.startswith("the input is")), None)
    if found is None or port is None or ":" not in port.text or finding.span.text[:1].isdigit():
        return None
    better = f"{port.text.partition(':')[0]}: {found[1]}"
    return instead(finding, better, port, help=f"write `{better}`, or change the data")


def without_edited_inputs(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The findings less those of an input that is not as in the data, where another finding changes its shape: what is
    left is told then."""
    edits = [fix.span for d in found if d.code == "shape-mismatch" and not _is_of_data(d) for fix in d.fixes[:1]]

    def is_changed(port: Span) -> bool:
        return any(port.source is e.source and port.start <= e.start and e.end <= port.end for e in edits)

    return [d for d in found if not (_is_of_data(d) and any(is_changed(port) for port, _ in d.labels))]


def _is_of_data(finding: Diagnostic) -> bool:
    return finding.code == "shape-mismatch" and finding.message.startswith("the input `")


def dim_of_input(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A dim of an output that no input has: the one at its place in the first input."""
    item, shape = item_of(nodes, tree.Node), innermost(nodes, tree.Shape)
    signature = item.signature if isinstance(item, tree.Model | tree.Block) else None
    if shape is None or signature is None or not signature.inputs:
        return None
    if len(re.findall(rf"\b{re.escape(finding.span.text)}\b", signature.span.text)) > 1:
        return None
    place = next((i for i, dim in enumerate(shape.dims) if dim.span == finding.span), None)
    dims = signature.inputs[0].shape.dims
    if place is None or place >= len(dims):
        return None
    name = re.match(r"\w+", dims[place].span.text)
    if name is not None and place == 0 and name[0].isdigit():
        # Of the batch the number is what is odd.
        batch, put = dims[0].span, finding.span.text
        return instead(finding, put, batch, help=f"write `{put}` in place of `{batch.text}` in the input")
    return None if name is None else instead(finding, name[0])


def named_port(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`model N: [B, 8] -> [B, 4]`."""
    port, signature = innermost(nodes, tree.Port), innermost(nodes, tree.Signature)
    if port is None or signature is None:
        return None
    is_input = any(port is one for one in signature.inputs)  # an output may be written the same
    return instead(finding, f"({'x' if is_input else 'y'}: {port.shape.span.text})", port.span)


def bound_in_body(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`T >= 2` or `2 <= T <= 64` on a line of its own."""
    source = finding.span.source
    line = _BOUND.fullmatch(source.line(finding.span.line))
    if line is None:
        return None
    bound, name, own = line[1].strip(), line[2], whole_line(finding.span)
    place = own.start + line.start(1)
    first = replace(
        finding,
        code="misplaced",
        span=Span(source, place, place + len(bound)),
        message=f"a bound stands where an input names its dim, and `{bound}` is a line of its own",
        label="no stage",
        help=f"write it in the input: `[B, {bound}]`",
        fixes=(),
    )
    item = item_of(nodes, tree.Node)
    if not isinstance(item, tree.Block | tree.Model) or item.signature is None:
        return first
    dims = (dim for port in item.signature.inputs for dim in port.shape.dims)
    dim = next((dim for dim in dims if isinstance(dim, tree.Stage) and dim.span.text == name), None)
    if dim is None or not dim.span.end < own.start < dim.span.end + _LONGEST_MOVE:
        return first
    port = next(port for port in item.signature.inputs if dim in port.shape.dims)
    start = port.span.start
    better = f"{source.text[start : dim.span.start]}{bound}{source.text[dim.span.end : port.span.end]}"
    to_line = f"{better}{source.text[port.span.end : own.start]}"
    return instead(first, to_line, Span(source, start, own.end), help=f"write `{better}`")


SHAPES: dict[str, tuple[Rule, ...]] = {
    "shape-mismatch": (
        width_in_first,
        rows_left,
        last_width,
        halved,
        equal_sides,
        residual_width,
        heads,
        whole_numbers,
        limit_of_input,
        table_as_long,
        other_window,
        shape_of_data,
    ),
    "unbound-dim": (dim_of_input,),
    "nameless-port": (named_port,),
}
BOUNDS: dict[str, tuple[Rule, ...]] = dict.fromkeys(
    ("number-as-stage", "chained-comparison", "misplaced"), (bound_in_body,)
)
