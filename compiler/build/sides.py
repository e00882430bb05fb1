"""Options that are no numbers or words: values that flow, names of axes, layers inside a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...grammar import tree
from ..ir.graph import Value
from ..layers import options, registry
from ..layers.base import Layer
from ..layers.side import Side
from ..semantics.evaluate import FAULT, Recipe, evaluate
from ..semantics.tensor import Tensor
from . import flows, lines, placing
from .arguments import Written
from .context import Context
from .env import Env, env_of


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
                case options.LAYER:
                    found[name] = self._layer(name, option.flow, ctx)
                case options.VALUE:
                    found[name] = self._side(name, option.flow, ctx)
                case options.VALUES:
                    entries = option.flow.entries if isinstance(option.flow, tree.List) else (option.flow,)
                    sides = [self._side(name, entry, ctx) for entry in entries if not isinstance(entry, tree.Entry)]
                    found[name] = FAULT if FAULT in sides else tuple(sides)
        return None if any(value is FAULT for value in found.values()) else found

    def _side(self, name: str, flow: tree.Flow, ctx: Context) -> Any:
        running = lines.takes_running(flow, ctx)
        if running or not flows.names_flow(flow, ctx):
            what = "takes the value that runs here" if running else "is known before anything runs"
            ctx.report.error(
                "not-a-value",
                f"`{name}` of `{self.word}` takes a value that flows, and this {what}",
                flow.span,
                "not a value",
                help="name the value first, with `as` behind a line or `name = ...`, and give its name",
            )
            return FAULT
        value = flows.first(flows.run(flow, None, ctx), ctx, flow)
        self.values = (*self.values, value)
        # What is unknown was told where it was made.
        return Side(value.type, len(self.values)) if isinstance(value.type, Tensor) else FAULT

    def _layer(self, name: str, flow: tree.Flow, ctx: Context) -> Any:
        """One layer of the library: its options are read here, its weights are the layer's around it."""
        value = evaluate(flow, ctx.env, ctx.report)
        if value is FAULT:
            return FAULT
        if isinstance(value, Recipe):
            inner, ctx = value.flow, ctx.within(env=env_of(value))
            if isinstance(inner, tree.Stage) and inner.body is None and len(inner.path.parts) == 1:
                kind = registry.find(inner.path.parts[0])
                if kind is not None:
                    read = placing.read_layer(kind, inner, ctx)
                    return FAULT if read is None else read.layer
        ctx.report.error(
            "wrong-value",
            f"`{name}` of `{self.word}` takes a layer or function of the library",
            flow.span,
            "not one of them",
            help=f"write one with its options, such as `{name} = relu`",
        )
        return FAULT


def _axes(flow: tree.Flow, ctx: Context) -> Any:
    """Positions are worked out; a Capital name is the name of an axis, whatever it stands for otherwise."""
    match flow:
        case tree.List(entries=entries):
            found = [_axes(entry, ctx) for entry in entries if not isinstance(entry, tree.Entry)]
            return FAULT if FAULT in found else tuple(found)
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if name[0].isupper():
            return name
    return evaluate(flow, ctx.env, ctx.report)
