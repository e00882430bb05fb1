"""`score = tilt(slope = Weight([heads]))`: a function of the file as the score of an attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...grammar import tree
from ..layers import registry
from ..layers.base import NOTHING
from ..semantics.evaluate import FAULT, Recipe, evaluate, is_number
from . import placing
from .context import Context
from .env import env_of

PlaceSide = Callable[[str, tree.Flow, Context], Any]
"""Gives the Side of a flow under a name, or FAULT."""

WEIGHT = "Weight"


def read_score(flow: tree.Flow, place: PlaceSide, ctx: Context) -> Any:
    """The ScoreFunction, or FAULT where it has a mistake (reported); None where the flow is no function of the file."""
    stage = flow
    if isinstance(stage, tree.Stage) and stage.args is None:
        named = ctx.env.lookup(str(stage.path))
        if isinstance(named, Recipe):  # a parameter of a block, a constant of the file
            stage, ctx = named.flow, ctx.within(env=env_of(named))
        elif named is not None:
            return None
    if not isinstance(stage, tree.Stage) or stage.body is not None or len(stage.path.parts) != 1:
        return None
    word, file = stage.path.parts[0], ctx.env.file
    if word not in file.functions:
        return None
    from ..layers.score import ScoreFunction
    from ..scalars import SCORE, check_score, match_arguments  # most files have no functions

    function = file.scalars.find(word)
    if function is None or not check_score(function, file.functions[word], stage, ctx.report):
        return FAULT
    given = match_arguments(stage, function.parameters, ctx.report, supplied=SCORE)
    if given is None:
        return FAULT
    arguments: dict[str, Any] = {}
    for name, argument in given.items():
        value = evaluate(argument, ctx.env, ctx.report)
        if not is_number(value) and value is not FAULT:
            own = _own_weight(value, ctx)
            value = place(name, argument, ctx.within(hint=name)) if own is None else own
        if value is FAULT:
            return FAULT
        arguments[name] = value
    return ScoreFunction(function, arguments)


def _own_weight(value: Any, ctx: Context) -> Any:
    """`Weight([heads])` made in the argument, which lies inside the attention; None where the argument is another
    flow, FAULT where the call has a mistake (reported).
    """
    if not isinstance(value, Recipe):
        return None
    stage, ctx = value.flow, ctx.within(env=env_of(value))
    if not isinstance(stage, tree.Stage) or str(stage.path) != WEIGHT or stage.body is not None:
        return None
    read = placing.read_layer(registry.get(WEIGHT), stage, ctx)
    if read is None or placing.infer(read.layer, stage, NOTHING, ctx) is None:
        return FAULT
    return read.layer
