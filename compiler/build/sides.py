"""Options that are no numbers or words: values that flow, names of axes, layers inside a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...grammar import tree
from ..ir.graph import Value
from ..layers import options
from ..layers.base import Layer
from ..layers.initial import WORDS as INITIAL_WORDS
from ..layers.initial import Initial
from ..layers.side import Side
from ..semantics.evaluate import FAULT, Recipe, evaluate, is_number
from ..semantics.report import Unheard
from ..semantics.tensor import Tensor
from . import flows, lines, placing
from .arguments import Written
from .context import Context
from .env import Env, OpenFlow, env_of
from .scores import read_score
from .written_names import check_names


class Sides:
    """Reads such options of one call; `values` gathers its side inputs in the order of the call."""

    def __init__(self, word: str, ctx: Context) -> None:
        self.word, self.ctx = word, ctx
        self.values: tuple[Value, ...] = ()

    def read(self, kind: type[Layer], given: Mapping[str, Written]) -> dict[str, Any] | None:
        """Option -> what it holds, of those that are read here; None where one cannot be had (reported)."""
        found: dict[str, Any] = {}
        for name, option in given.items():
            field = kind.options[name].kind
            if field is None or not field.reads or isinstance(option.flow, tree.Nothing):
                continue
            ctx = self.ctx if not isinstance(option.scope, Env) else self.ctx.within(env=option.scope)
            match field.reads:
                case options.AXES:
                    found[name] = _axes(option.flow, ctx)
                case options.SIZES:
                    found[name] = _sizes(option.flow, ctx)
                case options.INITIAL:
                    found[name] = _initial(option.flow, ctx)
                case options.LAYER:
                    found[name] = self._layer(name, option.flow, ctx)
                case options.VALUE:
                    found[name] = self._side(name, option.flow, ctx)
                case options.NUMBER_OR_VALUE:
                    if flows.names_flow(option.flow, ctx):
                        found[name] = self._side(name, option.flow, ctx)
                case options.FUNCTION_OR_VALUE:
                    score = read_score(option.flow, self._side, ctx)
                    found[name] = self._side(name, option.flow, ctx) if score is None else score
                case options.VALUES:
                    entries = option.flow.entries if isinstance(option.flow, tree.List) else (option.flow,)
                    sides = [self._side(name, entry, ctx) for entry in entries if not isinstance(entry, tree.Entry)]
                    found[name] = FAULT if FAULT in sides else tuple(sides)
        return None if any(value is FAULT for value in found.values()) else found

    def _side(self, name: str, flow: tree.Flow, ctx: Context) -> Any:
        value = value_of(flow, name, self.word, ctx)
        # What is unknown was told where it was made.
        if value is None or not isinstance(value.type, Tensor):
            return FAULT
        self.values = (*self.values, value)
        return Side(value.type, len(self.values))

    def _layer(self, name: str, flow: tree.Flow, ctx: Context) -> Any:
        """One layer of the library: its options are read here, its weights are the layer's around it."""
        value = evaluate(flow, ctx.env, ctx.report)
        if value is FAULT:
            return FAULT
        if isinstance(value, Recipe):
            named = str(flow.path) if isinstance(flow, tree.Stage) else name
            inside = ctx.opening(named, value.flow, flow.span, value.scope)
            if inside is None:
                return FAULT
            inner, ctx = value.flow, inside.within(env=env_of(value))
            if isinstance(inner, tree.Stage) and inner.body is None and len(inner.path.parts) == 1:
                word = inner.path.parts[0]
                kind = ctx.env.file.layer(word)
                if word in ctx.env.file.functions and (kind is None or inner.args is None):
                    return _own_function(inner, ctx)
                if kind is not None:
                    read = placing.read_layer(kind, inner, ctx)
                    return FAULT if read is None else read.layer
        ctx.report.error(
            "wrong-value",
            f"`{name}` of `{self.word}` takes a layer, or a function of the library or of this file",
            flow.span,
            "not one of them",
            help=f"write one with its options, such as `{name} = {'RMSNorm' if name.endswith('norm') else 'relu'}`",
        )
        return FAULT


def _own_function(stage: tree.Stage, ctx: Context) -> Any:
    """A function of the file, its parameters after the first given as numbers."""
    function = ctx.env.file.scalars.find(str(stage.path))
    if function is None:
        return FAULT
    from ..layers.own_function import OwnFunction
    from ..scalars import match_arguments  # most files have no functions

    given = match_arguments(stage, function.parameters, ctx.report, supplied=[function.parameters[0].name])
    if given is None:
        return FAULT
    arguments = {name: evaluate(flow, ctx.env, ctx.report) for name, flow in given.items()}
    for name, value in arguments.items():
        if value is not FAULT and not is_number(value):
            flow = given[name]
            message = f"`{name}` of `{stage.path}` is a number here, known when the model is built"
            ctx.report.error("wrong-value", message, flow.span, "not a number", help="write a number or a constant")
            arguments[name] = FAULT
    return FAULT if FAULT in arguments.values() else OwnFunction(function, arguments)


def value_of(flow: tree.Flow, name: str, word: str, ctx: Context) -> Value | None:
    """The value that a call is given under a name; None where the flow is none (reported)."""
    running = lines.takes_running(flow, ctx)
    if not running and flows.names_flow(flow, ctx):
        return flows.first(flows.run(flow, None, ctx), ctx, flow)
    if not running and evaluate(flow, ctx.env, ctx.report) is FAULT:
        return None
    for node in tree.walk(flow):
        if isinstance(node, tree.Stage) and isinstance(opened := ctx.env.lookup(node.path.parts[0]), OpenFlow):
            # What stands in a flow that is no value is meant to be used there.
            check_names(opened.flow, ctx.within(env=opened.env, report=Unheard()))
    what = "takes the value that runs here" if running else "is known before anything runs"
    help = "name the value first, with `as` behind a line or `name = ...`, and give its name"
    if running:
        named = next((value.name for value in ctx.unit.inputs if value.name), None)
        text = flow.span.text if "\n" not in flow.span.text else "..."
        begun = f"`{name} = {named or 'x'} -> {text}`"
        help = f"begin with the value that it works on: write {begun}"
        help += "" if named else ", with `as x` on the line that gives it"
    ctx.report.error(
        "not-a-value",
        f"`{name}` of `{word}` takes a value that flows, and this {what}",
        flow.span,
        "not a value",
        help=help,
    )
    return None


def _axes(flow: tree.Flow, ctx: Context) -> Any:
    """Positions are worked out; a Capital name is the name of an axis, whatever it stands for otherwise."""
    match flow:
        case tree.List(entries=entries):
            found = [_axes(entry, ctx) for entry in entries if not isinstance(entry, tree.Entry)]
            return FAULT if FAULT in found else tuple(found)
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if name[0].isupper():
            return name
    return evaluate(flow, ctx.env, ctx.report)


def _sizes(flow: tree.Flow, ctx: Context) -> Any:
    """Pairs of a name and a number, from `p = 7, q = 8`."""
    entries = flow.entries if isinstance(flow, tree.List) else ()
    pairs = [
        (str(entry.path), evaluate(entry.value, ctx.env, ctx.report))
        for entry in entries
        if isinstance(entry, tree.Entry)
    ]
    return FAULT if any(value is FAULT for _, value in pairs) else tuple(pairs)


def _initial(flow: tree.Flow, ctx: Context) -> Any:
    """A word such as `zeros`, or `normal(0.02)`, whose number is worked out here."""
    match flow:
        case tree.Stage(path=tree.Path(parts=("normal",)), args=(std,), body=None) if not isinstance(std, tree.Keyword):
            value = evaluate(std, ctx.env, ctx.report)
            return Initial("normal", value) if is_number(value) else value
    value = evaluate(flow, ctx.env, ctx.report, frozenset(INITIAL_WORDS))
    if isinstance(value, Recipe) and value.flow is not flow:
        return _initial(value.flow, ctx.within(env=env_of(value)))
    return value
