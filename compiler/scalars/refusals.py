"""What a function of a file may not say, and what to write instead."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..semantics.arithmetic import MATHS
from ..semantics.language import is_library
from ..semantics.report import Report
from .size import DEEPEST, LARGEST, Size

FOREIGN = {
    "maximum": "max",
    "minimum": "min",
    "fmax": "max",
    "fmin": "min",
    "fabs": "abs",
    "absolute": "abs",
    "ln": "log",
    "expit": "sigmoid",
    "swiglu": "silu",
    "leakyrelu": "leaky_relu",
}
"""What other tools call a function -> what it is called here."""

_REWRITES = {
    "where": (3, "{1} if {0} else {2}"),
    "pow": (2, "{0} ^ {1}"),
    "power": (2, "{0} ^ {1}"),
    "square": (1, "{0} ^ 2"),
    "clamp": (3, "min(max({0}, {1}), {2})"),
    "clip": (3, "min(max({0}, {1}), {2})"),
    "relu6": (1, "min(max({0}, 0), 6)"),
    "log1p": (1, "log(1 + {0})"),
    "expm1": (1, "exp({0}) - 1"),
    "rsqrt": (1, "{0} ^ -0.5"),
    "sign": (1, "1 if {0} > 0 else -1 if {0} < 0 else 0"),
}
"""Functions of other tools that are written with operators here: how many arguments they take, and how."""

_NUMBERS = {"pi": "3.141592653589793", "inf": "1e30"}
"""Numbers that have a name in other tools. A softmax makes 0 of a score of -1e30 as it does of -inf."""

_COUNTS = {"max": (2, None), "min": (2, None), "round_up": (2, 2)}


# --- functions and their parameters ---


def check_function_name(name: tree.Name, report: Report) -> None:
    if name.text in MATHS or is_library(name.text):
        owner, other = "a function of the language", f"my_{name.text}"
    elif keyword.iskeyword(name.text):
        owner, other = "a word of Python, so nothing that is emitted can be called so", f"{name.text}_"
    else:
        return
    message, help = f"`{name.text}` is {owner}", f"call it `{other}`, or after what it does"
    report.error("taken-name", message, name.span, "cannot be the name of a function", help=help)


def no_parameters(function: tree.Function, report: Report) -> None:
    better = f"{function.name} = {function.value.span.text}"
    report.error(
        "wrong-arguments",
        f"`{function.name}` is computed from nothing, so it is a constant and no function",
        function.name.span,
        "takes no number",
        help=f"write `{better}`",
        fixes=(Fix(function.span, better),),
    )


def repeated_parameter(param: tree.Param, function: tree.Function, report: Report) -> None:
    first = next(p for p in function.params if p.name.text == param.name.text)
    report.error(
        "repeated-name",
        f"`{function.name}` has two parameters called `{param.name}`",
        param.name.span,
        "given again here",
        labels=((first.name.span, "given here first"),),
        help="give one of them another name",
    )


def default_before(param: tree.Param, function: tree.Function, report: Report) -> None:
    """The parameter has no default, and one before it has."""
    params = [p.span.text for p in function.params if p.default is None]
    better = ", ".join([*params, *(p.span.text for p in function.params if p.default is not None)])
    whole = function.params[0].span.to(function.params[-1].span)
    report.error(
        "wrong-arguments",
        f"`{param.name}` has no default, and a parameter before it has one",
        param.span,
        "could never be reached by its place",
        help=f"write `{function.name}({better}) = ...`",
        fixes=(Fix(whole, better),),
    )


def default_no_number(flow: tree.Flow, report: Report) -> None:
    report.error(
        "wrong-value",
        "the default of a function's parameter is a number, the same wherever the function is used",
        flow.span,
        "not a number",
        help="write a number, or an expression of the file's constants",
    )


def unused_parameter(param: tree.Param, function: tree.Function, report: Report) -> None:
    at = function.params.index(param)
    fixes: tuple[Fix, ...] = ()
    if len(function.params) > 1:
        others = ", ".join(p.span.text for i, p in enumerate(function.params) if i != at)
        fixes = (Fix(function.params[0].span.to(function.params[-1].span), others),)
    report.error(
        "unused-name",
        f"nothing uses `{param.name}`",
        param.name.span,
        "given here, and never used",
        help="use it or take it out",
        fixes=fixes,
    )


def endless(circle: str, place: Span, report: Report) -> None:
    message = f"this function is computed from itself: {circle}"
    report.error("endless-function", message, place, "leads back here", help="write out what it stands for")


def long_chain(limit: int, place: Span, report: Report) -> None:
    message = f"more than {limit} functions call one another here"
    report.error("too-deep", message, place, "the next of them", help="write some of them out")


def too_large(name: tree.Name, size: Size, report: Report) -> None:
    if size.operations > LARGEST:
        message = f"`{name}` is {size.operations:,} operations when all that it calls is written out, over {LARGEST:,}"
    else:
        message = f"`{name}` is nested {size.depth} deep when all that it calls is written out, over {DEEPEST}"
    help = "let fewer of its calls lie inside others, or occur once"
    report.error("too-deep", message, name.span, "too large for a kernel", help=help)


# --- what is no scalar expression ---


def not_scalar(flow: tree.Flow, report: Report) -> None:
    """A flow of a kind that no scalar expression has: text, a list, braces, an arrow, a label, `none`."""
    help, fixes = "", ()
    match flow:
        case tree.Then():
            message, label = "a function is given its input in parentheses: no value runs here", "an arrow"
            better = _nested(flow)
            if better is not None:
                help, fixes = f"write `{better}`", (Fix(flow.span, better),)
        case tree.String():
            message, label = "a function computes with numbers, and this is text", "text"
        case tree.List():
            message, label = "a function computes one number, and this is a list", "a list"
            if len(flow.entries) == 1 and not isinstance(flow.entries[0], tree.Entry):
                better = f"({flow.entries[0].span.text})"
                help, fixes = f"write `{better}`", (Fix(flow.span, better),)
        case tree.Nothing():
            message, label = "a function computes with numbers, and `none` is none", "not a number"
            help, fixes = "write `0`", (Fix(flow.span, "0"),)
        case tree.Label():
            message, label = "a label names a module, and a function has none", "a label"
            help, fixes = _bare(flow, flow.target)
        case _:
            message, label = "a function is one expression, and has no braces", "braces"
            help = "a `block` holds stages and layers"
            if isinstance(flow, tree.Body) and len(flow.lines) == 1:
                help, fixes = _bare(flow, flow.lines[0])
    report.error("not-scalar", message, flow.span, label, help=help, fixes=fixes)


def _bare(flow: tree.Node, inside: tree.Node) -> tuple[str, tuple[Fix, ...]]:
    """What is inside a label or braces, without them."""
    return f"write `{inside.span.text}`", (Fix(flow.span, inside.span.text),)


def _nested(flow: tree.Then) -> str | None:
    """`x -> relu -> leaky_relu(0.2)` as `leaky_relu(relu(x), 0.2)`."""
    text = flow.stages[0].span.text
    for stage in flow.stages[1:]:
        if not isinstance(stage, tree.Stage) or stage.body is not None:
            return None
        text = f"{stage.path}({', '.join([text, *(arg.span.text for arg in stage.args or ())])})"
    return text


def not_pointwise(path: tree.Path, report: Report) -> None:
    """A layer, a block, or a function that looks at more than one number."""
    word = str(path)
    known = is_library(word)
    if known and word[0].isupper():
        message, label = f"`{word}` has weights, and a function of the file's own has none", "a layer"
    elif known:
        message = f"`{word}` looks at more than one number, and a function computes each number by itself"
        label = "not pointwise"
    else:
        message, label = f"`{word}` is a flow, and a function computes one number from others", "a flow"
    help = "write a `block` where stages and layers are wanted"
    report.error("not-scalar", message, path.span, label, help=help)


def no_number(path: tree.Path, report: Report) -> None:
    message = f"`{path}` is no number, and a function computes with numbers"
    report.error("not-scalar", message, path.span, "not a number", help="name a number of the file, or a parameter")


def identity(path: tree.Path, parameters: Sequence[str], report: Report) -> None:
    first = parameters[0] if parameters else "x"
    report.error(
        "not-scalar",
        "`identity` is what flows, and no value runs in a function",
        path.span,
        "nothing flows here",
        help=f"write `{first}`",
        fixes=(Fix(path.span, first),),
    )


def bare_function(path: tree.Path, parameters: Sequence[str], report: Report) -> None:
    least, _ = _COUNTS.get(str(path), (1, 1))
    better = f"{path}({', '.join([parameters[0] if parameters else 'x', '0'][:least])})"
    report.error(
        "wrong-arguments",
        f"`{path}` is a function, and nothing says what it is computed from",
        path.span,
        "no number by itself",
        help=f"write `{better}`",
        fixes=(Fix(path.span, better),),
    )


def known_number(path: tree.Path, report: Report) -> bool:
    """Whether it is a number that other tools have a name for; then it is reported so."""
    better = _NUMBERS.get(path.parts[-1])
    if better is None:
        return False
    message, fixes = f"there is no name `{path}`", (Fix(path.span, better),)
    report.error("unknown-name", message, path.span, "not known here", help=f"write `{better}`", fixes=fixes)
    return True


def called_number(stage: tree.Stage, report: Report) -> None:
    """`x(2)`, as one writes a product on paper."""
    args = stage.args or ()
    message, label = f"`{stage.path}` is a number, and cannot be called", "not a function"
    if len(args) != 1 or isinstance(args[0], tree.Keyword):
        report.error("wrong-arguments", message, stage.span, label)
        return
    inner = args[0].span.text
    better = f"{stage.path} * {inner}" if isinstance(args[0], tree.Stage | tree.Number) else f"{stage.path} * ({inner})"
    fixes = (Fix(stage.span, better),)
    report.error("wrong-arguments", message, stage.span, label, help=f"write `{better}` for a product", fixes=fixes)


def rewritten(stage: tree.Stage, report: Report) -> bool:
    """Whether it is a function of another tool that is written with operators here; then it is reported so."""
    count, template = _REWRITES.get(stage.path.parts[-1], (0, ""))
    args = stage.args or ()
    if not template:
        return False
    message, label = f"there is no function `{stage.path}`", "not known here"
    if len(args) != count or any(isinstance(arg, tree.Keyword) for arg in args):
        help = f"write it as `{template.format('a', 'b', 'c')}`"
        report.error("unknown-function", message, stage.path.span, label, help=help)
        return True
    bare = template.startswith("min(")
    texts = [a.span.text if bare or isinstance(a, tree.Stage | tree.Number) else f"({a.span.text})" for a in args]
    better = template.format(*texts)
    if not template.startswith(("min(", "log(")):
        better = f"({better})"
    fixes = (Fix(stage.span, better),)
    report.error("unknown-function", message, stage.span, label, help=f"write `{better}`", fixes=fixes)
    return True


def check_count(word: str, stage: tree.Stage, parameters: Sequence[str], report: Report) -> bool:
    """Whether a mathematical function is given as many numbers as it takes, without names."""
    args = stage.args or ()
    for arg in args:
        if isinstance(arg, tree.Keyword):
            message = f"`{word}` takes its numbers without names"
            value = arg.value.span.text
            fixes = (Fix(arg.span, value),)
            report.error(
                "wrong-arguments", message, arg.name.span, "no name here", help=f"write `{value}`", fixes=fixes
            )
            return False
    least, most = _COUNTS.get(word, (1, 1))
    if least <= len(args) <= (most or len(args)):
        return True
    takes = "one number" if most == 1 else "two numbers" if most == 2 else "two numbers or more"
    given = "none is" if not args else "one is" if len(args) == 1 else f"{len(args)} are"
    texts = [arg.span.text for arg in args[:least]] or [parameters[0] if parameters else "x"]
    if len(texts) < least:
        texts.append("64" if word == "round_up" else "0")
    better = f"{word}({', '.join(texts)})"
    help, fixes = f"write `{better}`", (Fix(stage.span, better),)
    report.error(
        "wrong-arguments", f"`{word}` takes {takes}, and {given} given", stage.span, "here", help=help, fixes=fixes
    )
    return False


def not_a_condition(flow: tree.Flow, report: Report) -> None:
    better = f"{flow.span.text} != 0"
    report.error(
        "not-a-condition",
        "`if` needs something that is true or false, and this is a number",
        flow.span,
        "neither true nor false",
        help=f"a condition compares numbers: `{better}`",
        # A comparison binds looser than all that a number is made of, but for `if`.
        fixes=() if isinstance(flow, tree.Choice) else (Fix(flow.span, better),),
    )


def no_value(why: str, span: Span, report: Report) -> None:
    report.error("no-value", f"this cannot be worked out: {why}", span, why)


def wrong_word(flow: tree.Flow, words: Sequence[str], option: str, report: Report) -> None:
    listed = " or ".join(f"`{word}`" for word in words)
    fixes = tuple(Fix(flow.span, word) for word in words)
    message = f"`{option}` takes {listed}"
    report.error("wrong-value", message, flow.span, "not one of them", help=f"write {listed}", fixes=fixes)
