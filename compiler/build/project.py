"""`residual(skip = project(out, stride = 1))`: the identity where shapes agree, else a 1x1 convolution and a norm."""

from __future__ import annotations

from typing import Any

from ...grammar import tree
from ..semantics.evaluate import FAULT, Recipe
from ..semantics.number import number
from ..semantics.tensor import Tensor, same
from .arguments import given_arguments
from .context import Context
from .defaults import PROJECT_OPTIONS
from .env import Env

_CONVOLUTIONS = {3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}


def is_project(flow: tree.Flow) -> bool:
    return isinstance(flow, tree.Stage) and flow.path.parts == ("project",)


def projection(stage: tree.Stage, x: Tensor, branch: Tensor, ctx: Context) -> Recipe | Any | None:
    """The flow that makes `x` as wide as the branch; None for the identity, FAULT where it is wrong (reported)."""
    given = given_arguments(stage, PROJECT_OPTIONS, ctx.report)
    if given is None:
        return FAULT
    if "out" not in given:
        ctx.report.error(
            "missing-option", "`project` needs `out`", stage.span, "not given here", help="write `project(out, stride)`"
        )
        return FAULT
    if same(x, branch):
        return None
    if x.rank not in _CONVOLUTIONS:
        ctx.report.error(
            "shape-mismatch",
            f"project convolves [B, C, ...] with one to three further axes, and {x} comes in",
            stage.span,
            f"{x} comes in",
            help="write the skip out: `skip = Linear(...)`",
        )
        return FAULT
    span = stage.span
    arguments = [_keyword("features", given["out"].flow), _keyword("kernel", _one(span))]
    if "stride" in given:
        arguments.append(_keyword("stride", given["stride"].flow))
    arguments.append(_keyword("bias", tree.Bool(False, span=span)))
    convolution = _stage(_CONVOLUTIONS[x.rank], tuple(arguments), span)
    flow = tree.Then((convolution, _stage("BatchNorm", None, span)), span=span)
    env = Env(ctx.env, ctx.env.file)
    env.inside_library = True
    return Recipe(flow, env)


def _one(span: tree.Span) -> tree.Number:
    return tree.Number(number(1).text, 1, span=span)


def _keyword(name: str, value: tree.Flow) -> tree.Keyword:
    return tree.Keyword(tree.Name(name, span=value.span), value, span=value.span)


def _stage(word: str, args: tuple[tree.Flow | tree.Keyword, ...] | None, span: tree.Span) -> tree.Stage:
    return tree.Stage(tree.Path((word,), span=span), args, None, span=span)
