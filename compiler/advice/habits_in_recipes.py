"""Recipes and exports as other tools write them: rates in place of parts, flags, objects that are called, quotes."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..semantics.nearest import nearest
from .around import Nodes, Rule, also, bindings, call_of, innermost, instead, out_of_call, value_of
from .names_in_quotes import name_in_quotes

_WORDS = "one of `false`, `none`, `true`"
_WARMUPS = ("warmup", "warmup_steps", "num_warmup_steps", "warmup_iters", "warmup_ratio", "warmup_fraction")
_LOSS = re.compile(r"[ \t]*loss[ \t]*=[ \t]*((?:\w+\.)*(\w+)\(\)\(([^()\n]*)\))")


def lowest_rate(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`cosine(min_lr = 6e-5)`: the end is a part of the peak."""
    found = call_of(finding, nodes)
    option = None if found is None else (found[0].args or ())[found[1]]
    if not isinstance(option, tree.Keyword) or not isinstance(nodes[0], tree.Train):
        return None
    if option.name.text not in ("min_lr", "eta_min", "final_lr", "end_lr", "lr_end", "min_learning_rate"):
        return None
    message = f"{finding.message}: a schedule ends at a part of the peak rate"
    part = _part_of_peak(option.value, nodes[0])
    if part is None:
        return replace(finding, message=message, help="write `to` with that part, such as `to = 10%`", fixes=())
    return instead(finding, f"to = {part}", option.span, message=message)


def _part_of_peak(rate: tree.Flow, train: tree.Train) -> str | None:
    """`10%` for a rate of 6e-5 below a peak of 6e-4, where both are written as numbers."""
    optimizer = next((line.value for line in bindings(train) if line.name.text == "optimizer"), None)
    args = optimizer.args or () if isinstance(optimizer, tree.Stage) else ()
    peak = next((a.value for a in args if isinstance(a, tree.Keyword) and a.name.text == "lr"), None)
    if not isinstance(rate, tree.Number) or not isinstance(peak, tree.Number):
        return None
    low, high = (Fraction(number.span.text.replace("_", "")) for number in (rate, peak))
    part = 100 * low / high if high else Fraction(200)
    return f"{float(part):g}%" if part <= 100 else None


def wave_of_another_tool(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`CosineAnnealingLR(T_max = 100)`: `cosine` takes the rest of the run by itself."""
    call = innermost(nodes, tree.Stage)
    if call is None or call.path.span != finding.span or not finding.help.startswith("write `cosine`"):
        return None
    args = call.args or ()
    if len(args) != 1 or not isinstance(args[0], tree.Keyword) or args[0].name.text.lower() != "t_max":
        return None
    return instead(finding, "cosine", call.span)


def whole_wave(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`cosine(T_max = 100)`."""
    found = call_of(finding, nodes)
    args = () if found is None else found[0].args or ()
    if found is None or str(found[0].path) != "cosine" or finding.span.text.lower() != "t_max":
        return None
    message = f"`cosine` has no option `{finding.span.text}`: it takes the rest of the run"
    shorter = f"length = {value_of(args[found[1]]).span.text}, to = 0"
    help_ = f"leave it out; for a part of the run write `{shorter}`"
    return instead(finding, "", out_of_call(*found), message=message, help=help_)


def both_betas(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`Adam(beta1 = 0.9, beta2 = 0.95)`: one option, a list of two."""
    found = call_of(finding, nodes)
    args = () if found is None else found[0].args or ()
    given = {word: i for i, arg in enumerate(args) if isinstance(arg, tree.Keyword) and (word := _beta(arg))}
    if found is None or found[1] not in given.values() or len(given) != 2:
        return None
    first, last = sorted(given.values())
    values = [value_of(args[given[word]]).span.text for word in ("beta1", "beta2")]
    better = f"betas = [{', '.join(values)}]"
    names = " and ".join(f"`{args[i].span.text.split()[0]}`" for i in (first, last))
    whole = args[first].span.to(args[last].span)
    between = [arg.span.text for arg in args[first + 1 : last]]
    message = f"`{found[0].path}` has no options {names}: they are one list"
    at = replace(finding, span=whole)
    return instead(at, ", ".join([better, *between]), message=message, help=f"write `{better}`")


def _beta(option: tree.Keyword) -> str:
    """`beta1` for `adam_beta1` and `beta_1`, `beta2` for those of the other; empty for any other option."""
    word = option.name.text.removeprefix("adam_").replace("_", "")
    return word if word in ("beta1", "beta2") else ""


def warmed_up(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`cosine(warmup_steps = 100)`: the rise is a stage of its own, before the one that falls."""
    found = call_of(finding, nodes)
    args = () if found is None else found[0].args or ()
    option = None if found is None else args[found[1]]
    if found is None or not isinstance(option, tree.Keyword) or not isinstance(nodes[0], tree.Train):
        return None
    word = str(found[0].path)
    if option.name.text not in _WARMUPS or word not in ("cosine", "linear", "polynomial"):
        return None
    others = [arg.span.text for i, arg in enumerate(args) if i != found[1]]
    length, value = option.value.span.text, option.value
    if isinstance(value, tree.Number) and 0 < value.value < 1 and not length.endswith("%"):
        length = f"{float(value.value * 100):g}%"
    better = f"warmup({length}) -> {word}({', '.join(others) or 'to = 0'})"
    message = f"`{word}` has no option `{option.name.text}`: the rate rises in a stage before it"
    return instead(finding, better, found[0].span, message=message)


def warmup_and_fall(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`warmup_cosine(100)`, `get_linear_schedule_with_warmup(num_warmup_steps = 100)`: two stages."""
    call = innermost(nodes, tree.Stage)
    found = re.fullmatch(r"write `(cosine|linear)`", finding.help)
    if call is None or call.path.span != finding.span or found is None or "warmup" not in finding.span.text.lower():
        return None
    first, *_ = [*(call.args or ()), call]
    named = [arg for arg in call.args or () if isinstance(arg, tree.Keyword) and arg.name.text in _WARMUPS]
    rise = next((arg.value for arg in named), first)
    length = rise.span.text if isinstance(rise, tree.Number | tree.Percent) else "5%"
    better = f"warmup({length}) -> {found[1]}(to = 0)"
    message = f"{finding.message}: the rise and the fall of the rate are a stage each"
    return instead(finding, better, call.span, message=message)


def length(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`warmup(epochs = 3)`, `cosine(steps = 100)`."""
    found = call_of(finding, nodes)
    option = None if found is None else (found[0].args or ())[found[1]]
    if not isinstance(option, tree.Keyword) or not isinstance(nodes[0], tree.Train) or "`length`" not in finding.help:
        return None
    unit = {"epochs": " * epoch", "num_epochs": " * epoch"}.get(option.name.text, "")
    if not unit and option.name.text not in ("steps", "num_steps", "warmup_steps", "total_steps", "iters"):
        return None
    return instead(finding, f"{option.value.span.text}{unit}", option.span)


def falling_rate(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`AdamW(lr_decay = 0.9)`."""
    if finding.span.text not in ("lr_decay", "gamma", "lr_schedule", "scheduler") or not isinstance(
        nodes[0], tree.Train
    ):
        return None
    help_ = "how the rate falls is a line of its own: `schedule = cosine(to = 0)`"
    found, line = call_of(finding, nodes), innermost(nodes, tree.Binding)
    if line is not None and line.name.text == "schedule":
        return None  # which is that line
    scheduled = any(one.name.text == "schedule" for one in bindings(nodes[0]))
    if found is None or line is None or line.value is not found[0] or scheduled or "\n" not in nodes[0].span.text:
        return replace(finding, help=help_, fixes=())
    gone, source = out_of_call(*found), line.span.source
    text = f"{source.text[gone.end : line.span.end]}\n  schedule = cosine(to = 0)"
    return also(replace(finding, help=help_), text, Span(source, gone.start, line.span.end))


def factor_of_each_step(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`exponential(0.99)`, `exponential(gamma = 0.99)`: told once, whatever it lacks or has too much."""
    call = innermost(nodes, tree.Stage)
    args = () if call is None else call.args or ()
    if call is None or call.path.parts != ("exponential",) or len(args) != 1 or not isinstance(nodes[0], tree.Train):
        return None
    (arg,) = args
    named = isinstance(arg, tree.Keyword)
    value = value_of(arg)
    if (named and arg.name.text not in ("gamma", "factor", "decay", "decay_rate")) or not isinstance(
        value, tree.Number
    ):
        return None
    if not 0 < value.value <= 1:
        return None
    message = "`exponential` is told where the rate ends, a part of its peak, and not what one step leaves of it"
    told = replace(finding, code="wrong-value", span=arg.span)
    return instead(told, "to = 1%", message=message, label="a factor", help="write `exponential(to = 1%)`")


def epoch_of_epochs(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`epochs = 3 * epoch`, `batch = auto`."""
    line = innermost(nodes, tree.Binding)
    if line is None or not isinstance(nodes[0], tree.Train) or finding.fixes:
        return None
    count = line.value.left if isinstance(line.value, tree.Binary) else None
    if line.name.text == "epochs" and finding.span.text == "epoch" and isinstance(count, tree.Number):
        return instead(finding, count.span.text, line.value.span, help=f"write `epochs = {count.span.text}`")
    return replace(finding, help="a number stands here") if finding.help == _WORDS else None


def mixed(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`precision = bf16-mixed`, `precision = 16`."""
    if not finding.message.startswith("`precision` takes"):
        return None
    bits = {"16": "fp16", "32": "fp32"}.get(finding.span.text.strip('"').partition("-")[0])
    words = [*re.findall(r"\w+", finding.span.text), *([bits] if bits else [])]
    word = next((word for word in words if f"`{word}`" in finding.message), None)
    return None if word is None else instead(finding, word)


def precision(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`amp = true`, `fp16 = true`."""
    line = innermost(nodes, tree.Binding)
    if line is None or line.name.span != finding.span or not isinstance(line.value, tree.Bool):
        return None
    if line.name.text not in ("amp", "bf16", "fp16", "mixed_precision", "use_amp"):
        return None
    word = "fp16" if line.name.text == "fp16" else "bf16"
    if not line.value.value:
        word = "fp32"
    return instead(finding, f"precision = {word}", line.span)


def quoted_recipe(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`optimizer = "adamw"`, `metrics = ["accuracy"]`: where a name alone is not enough, the whole call."""
    text = innermost(nodes, tree.String)
    line = innermost(nodes, tree.Binding)
    if text is None or text.span != finding.span or line is None or not isinstance(nodes[0], tree.Train):
        return None
    from ..training import language  # only a mistake waits for it

    key = line.name.text
    vocabularies = {"optimizer": language.OPTIMIZERS, "loss": language.LOSSES, "metrics": language.METRICS}
    found = vocabularies.get(key)
    meant = None if found is None else nearest(text.value, found.words, found.spellings)
    if found is None or meant is None:
        return None
    call = f"{meant}(lr = 3e-4)" if key == "optimizer" else f"{meant}({found.example.partition('(')[2]}"
    message, help_ = f"`{key}` takes no text in quotes", f"write `{call}`"
    return instead(finding, call, message=message, help=help_)


def published_pictures(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`data = mnist`: its files lie where they were put, and are read under their own names."""
    line, call = innermost(nodes, tree.Binding), innermost(nodes, tree.Stage)
    if line is None or call is None or line.name.text != "data" or call.path.span != finding.span:
        return None
    word = finding.span.text.lower().replace("_", "")
    if not re.fullmatch(r"(?:fashion|k|q)?mnist", word):
        return None
    files = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    train, test = (", ".join(f'"{name}"' for name in some) for some in (files[:2], files[2:]))
    return instead(finding, f"idx({train}, validation = [{test}])", call.span)


def measure_of_classes(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`mae(logits, data.label)`, where the labels are classes."""
    found = re.fullmatch(r"for classes write `([^`]+)`", finding.help)
    call = next((node for node in reversed(nodes) if isinstance(node, tree.Stage) and node.args), None)
    return None if found is None or call is None else also(finding, found[1], call.span)


def added_schedule(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`warmup(100) + cosine`."""
    added = innermost(nodes, tree.Binary)
    if added is None or added.span != finding.span or added.operator != "+" or "a schedule" not in finding.message:
        return None
    gap = Span(added.span.source, added.left.span.end, added.right.span.start)
    better = f"{added.left.span.text} -> {added.right.span.text}"
    message = "one schedule follows another by the arrow"
    return instead(finding, " -> ", gap, message=message, label="added up", help=f"write `{better}`")


def sampled(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`sample = every(100)`."""
    call = innermost(nodes, tree.Stage)
    if call is None or "needs `prompt`" not in finding.message or len(call.args or ()) != 1:
        return None
    return instead(finding, f'{call.span.text[:-1]}, prompt = "ROMEO:")', call.span)


def called_loss(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`loss = nn.CrossEntropyLoss()(logits, label)`."""
    found = _LOSS.match(finding.span.source.line(finding.span.line))
    if found is None:
        return None
    from ..training.language import LOSSES  # only a mistake waits for it

    meant = nearest(found[2], LOSSES.words, LOSSES.spellings)
    if meant is None:
        return None
    start = finding.span.source.text.rfind("\n", 0, finding.span.start) + 1 + found.start(1)
    message = "a loss is called once, with what it compares"
    place = Span(finding.span.source, start, start + len(found[1]))
    return instead(finding, f"{meant}({found[3]})", place, message=message)


def export_setting(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`onnx = "net.onnx"`."""
    line = innermost(nodes, tree.Binding)
    if line is None or line.span != finding.span or not isinstance(nodes[0], tree.Export):
        return None
    if line.name.text in ("opset", "profile", "quantize", "outputs", "cache", "weights"):
        found = replace(finding, help=f'it is an option of a format: `onnx("model.onnx", {line.span.text})`')
        alone = len(nodes[0].body.lines) == 1 and line.name.text == "opset"  # which no other format has
        path = f"{nodes[0].model.text.lower()}.onnx"
        return also(found, f'onnx("{path}", {line.span.text})') if alone else found
    if line.name.text not in ("onnx", "torchscript", "pt2", "bundle") or not isinstance(line.value, tree.String):
        return None
    return instead(finding, f"{line.name}({line.value.span.text})")


RECIPES: dict[str, tuple[Rule, ...]] = {
    "unknown-option": (factor_of_each_step, lowest_rate, whole_wave, both_betas, warmed_up, length, falling_rate),
    "shape-mismatch": (measure_of_classes,),
    "unknown-name": (published_pictures, wave_of_another_tool, warmup_and_fall, name_in_quotes, epoch_of_epochs),
    "unknown-key": (precision,),
    "wrong-value": (factor_of_each_step, mixed, quoted_recipe, added_schedule),
    "missing-option": (factor_of_each_step, sampled),
    "foreign-call": (called_loss,),
    "misplaced-line": (export_setting,),
}
