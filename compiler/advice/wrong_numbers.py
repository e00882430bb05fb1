"""Edits of numbers: the nearest one that can stand there, where a number that cannot tells which that is."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from .around import Nodes, Rule, also, bindings, innermost, instead, value_of

_WORDS = {word: n for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}


def rounded(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(4.5)`, `batch = 6.4`, `[B, 2.5]`: the whole number below, as `//` gives it."""
    text = finding.span.text
    if "whole number" not in finding.message or not re.fullmatch(r"\d+\.\d+", text) or float(text) < 1:
        return None
    below = str(int(float(text)))
    return instead(finding, below, help=f"write a whole number, such as `{below}`")


def whole_percent(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear(800%)`, which is 8."""
    found = re.fullmatch(r"this is \d+%, which is (\d+)", finding.label)
    return None if found is None or "whole number" not in finding.message else instead(finding, found[1])


def number_as_word(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`stride = "two"`."""
    number = _WORDS.get(finding.span.text.strip('"').lower(), 0)
    is_text = finding.span.text.startswith('"')
    return instead(finding, str(number)) if is_text and number and "number" in finding.message else None


def nothing_instead_of_zero(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`window = 0`, where `none` says that there is none."""
    if finding.span.text != "0" or not finding.message.endswith(" or none"):
        return None
    return instead(finding, "none", help="write `none` for none, or a number of at least 1")


def only_word(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`approximate = true`, where `none` or one word is taken."""
    found = re.search(r" takes none or (\w+)$", finding.message)
    if found is None or finding.span.text not in ("true", "false"):
        return None
    return instead(finding, found[1] if finding.span.text == "true" else "none")


def both_shares(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`split = 0.8`: the rest is for validation."""
    text = finding.span.text
    if not finding.message.startswith("`split` takes two parts") or not re.fullmatch(r"0?\.\d+", text):
        return None
    rest = 1 - Fraction(text)
    return instead(finding, f"[{text}, {float(rest):g}]") if rest < 1 else None


def shares_above_one(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`split = [80, 20]`, `split = [0.8, 0.3]`, `split = [0.8, 0.1, 0.1]`: it is their sum, or their number."""
    written = innermost(nodes, tree.List)
    if not finding.message.startswith("`split` takes two parts") or written is None or written.span != finding.span:
        return None
    entries = [one for one in written.entries if isinstance(one, tree.Number) and one.value >= 0]
    if len(entries) != len(written.entries) or len(entries) < 2 or max(one.value for one in entries) > 10**9:
        return None
    shares = [Fraction(one.value) for one in entries]
    total = sum(shares)
    if len(shares) > 2:
        label = f"these are {len(shares)} parts, and there is none to test on"
    elif total > 1:
        label = f"these come to {float(total):g}"
    else:
        return None
    if total > 1 and max(shares) > 1:
        shares = [share / total for share in shares]
    train = float(shares[0])
    if not 0 < train < 1 or f"{train:g}" == "1":
        return replace(finding, label=label)
    return instead(finding, f"[{train:g}, {float(1 - Fraction(f'{train:g}')):g}]", label=label)


def second_beta(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`betas = 0.9`: the second is the usual one."""
    text = finding.span.text
    if not finding.message.startswith("`betas` takes two numbers") or not re.fullmatch(r"0?\.\d+", text):
        return None
    return instead(finding, f"[{text}, 0.999]")


def shared_evenly(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`GroupNorm(5)` of 16 channels, 3 key heads for 4: the largest number below that divides."""
    found = re.match(
        r"(?:the )?(\d+) (?:channels .* do not fall into|heads do not share) (\d+) (?:groups|key)", finding.message
    )
    if found is None:
        return None
    option = innermost(nodes, tree.Keyword)
    span = option.value.span if option is not None and finding.span == option.span else finding.span
    whole, count = int(found[1]), int(found[2])
    if span.text != str(count):
        return None
    best = next(n for n in range(min(count, whole), 0, -1) if whole % n == 0)
    return instead(finding, str(best), span, help=f"take {best}; {finding.help}")


def batch_of_parts(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`accumulate = 7` of a batch of 64: what its help offers first."""
    found = re.match(r"take a batch of (\d+)", finding.help)
    train = nodes[0] if nodes else None
    if found is None or not isinstance(train, tree.Train):
        return None
    batch = [line.value.span for line in bindings(train) if line.name.text == "batch"]
    return also(finding, found[1], batch[0]) if len(batch) == 1 else None


def counted_from_one(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """Axis 2 of two."""
    found = re.fullmatch(r"an axis from 0 to (\d+)", finding.help)
    if found is None or finding.span.text != str(int(found[1]) + 1):
        return None
    return instead(finding, found[1], help=f"write `{found[1]}`: {finding.help}, counted from 0")


def axis_left(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`mean(over = [H, X])` of [B, C, H, W]: the one axis with a name that is not there yet."""
    found = re.match(r"its axes are called ([^;]+);", finding.help)
    list_ = innermost(nodes, tree.List)
    if found is None or list_ is None or not any(entry.span == finding.span for entry in list_.entries):
        return None
    there = {value_of(entry).span.text for entry in list_.entries if isinstance(entry, tree.Stage)}
    left = [name for name in found[1].split(", ")[1:] if name not in there]  # the first is the batch
    return instead(finding, left[0], help=f"write `{left[0]}`: {finding.help}") if len(left) == 1 else None


# --- bounds of dims ------------------------------------------------------------------------------------------------


def smallest_dim(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`T >= -2`."""
    found = re.fullmatch(r"(\w+) (>=|>) (?:-\d+|0)", finding.span.text)
    if found is None or not finding.message.startswith("a dim is 1 at least"):
        return None
    return instead(finding, f"{found[1]} >= 1")


def bounds_in_order(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`64 <= T <= 16`, and `2 <= T >= 16`."""
    found = re.fullmatch(r"(\w+) <= (\w+) ([<>]=) (\w+)", finding.span.text)
    if found is None or not finding.message.startswith(("no size is left", f"`{finding.span.text}` bounds")):
        return None
    least, name, sign, most = found.groups()
    if sign == "<=":
        least, most = most, least
    if not least.isdigit() or not most.isdigit() or int(least) > int(most):
        return None
    better = f"{least} <= {name} <= {most}"
    return instead(finding, better, help=f"write `{better}`; or {finding.help}" if sign == "<=" else "")


# --- widths --------------------------------------------------------------------------------------------------------


def promised_width(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Linear`, `Linear(0)` as the last stage of a model, which promises how wide it is."""
    model, call = (nodes[0] if nodes else None), innermost(nodes, tree.Stage)
    if not isinstance(model, tree.Model) or "`features`" not in finding.message or not model.body.lines:
        return None
    outputs = model.signature.outputs or ()
    call = next((n for n in reversed(nodes) if isinstance(n, tree.Stage) and n.path.parts == ("Linear",)), None)
    last = _last_stage(model.body.lines[-1])
    if call is None or call is not last or len(outputs) != 1 or not outputs[0].shape.dims:
        return None
    width = outputs[0].shape.dims[-1].span.text
    if not re.fullmatch(r"\d+|[a-z_]\w*", width) or width in ("0", finding.span.text):
        return None
    if finding.code == "missing-option" and not call.args:
        better, end = f"Linear({width})", call.path.span.end if call.args is None else call.span.end
        return instead(finding, better, Span(call.span.source, call.path.span.start, end))
    first = value_of(call.args[0]) if call.args else None
    if finding.code != "wrong-value" or first is None or first.span != finding.span:
        return None
    return instead(finding, width, help=f"write `{width}`, the width of `{outputs[0].name or 'the output'}`")


def _last_stage(line: tree.Node) -> tree.Node:
    while True:
        if isinstance(line, tree.Named):
            line = line.flow
        elif isinstance(line, tree.Then):
            line = line.stages[-1]
        elif isinstance(line, tree.Label):
            line = line.target
        else:
            return line


NUMBERS: dict[str, tuple[Rule, ...]] = {
    "wrong-value": (
        promised_width,
        rounded,
        whole_percent,
        number_as_word,
        nothing_instead_of_zero,
        only_word,
        both_shares,
        shares_above_one,
        second_beta,
    ),
    "missing-option": (promised_width,),
    "shape-mismatch": (shared_evenly, counted_from_one, axis_left),
    "uneven-batch": (batch_of_parts,),
    "bad-dim": (smallest_dim, rounded),
    "bad-limit": (bounds_in_order,),
}
