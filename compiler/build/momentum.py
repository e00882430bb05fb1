"""`momentum_copy(label, 0.999)`: an untrained copy of a module, which follows its weights (He et al. 2020)."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import LayerModule, Momentum, RunMomentum, UnitModule, Value
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.number import number
from ..semantics.tensor import Tensor, same, seen_outside
from .arguments import Written, given_arguments, show_value
from .context import Context, Flowing
from .defaults import MOMENTUM_OPTIONS


def run_momentum_copy(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """Make the copy, and run it on `x`; what its module takes besides, it takes too."""
    given = given_arguments(stage, MOMENTUM_OPTIONS, ctx.report)
    if given is None:
        return ctx.unknown()
    example = "momentum_copy(encoder, 0.999)"
    module = _labelled(given.get("label"), stage, example, ctx)
    rate = number(0.999)
    if "rate" in given:
        value = evaluate(given["rate"].flow, ctx.env, ctx.report)
        if value is FAULT:
            return ctx.unknown()
        if not is_number(value) or value.value is None or not 0 <= value.value <= 1:
            span = given["rate"].flow.span
            label = f"this is {show_value(value)}"
            ctx.report.error("wrong-value", "`rate` takes a number from 0 to 1", span, label, help=f"write `{example}`")
            return ctx.unknown()
        rate = value
    if module is None or not isinstance(x.type, Tensor):
        return ctx.unknown()
    name = ctx.module_name(f"{module.name}_momentum")
    types = given_by(module, x.type)
    if types is None:
        expected = module.inputs[0] if isinstance(module, LayerModule) else module.unit.inputs[0].type
        if not isinstance(expected, Tensor):
            return ctx.unknown()
        ctx.report.error(
            "shape-mismatch",
            f"`{module.name}` was made for {expected}, and {x.type} comes into its copy",
            stage.span,
            f"{x.type} comes in",
            labels=((module.span, f"{expected} came in where it was made"),),
            help="a copy has the weights of its module, so it takes the same shapes",
        )
        return ctx.unknown()
    beside = ctx.owner.beside(module.name)
    ctx.owner.add(Momentum(name, module, rate, stage.span), ctx.place(stage.span), beside)
    outputs = ctx.emit(RunMomentum(), (x, *beside), types, stage.span, name)
    return outputs[0] if len(outputs) == 1 else ctx.owner.results((module.name,))(outputs)


def _labelled(option: Written | None, stage: tree.Stage, example: str, ctx: Context) -> LayerModule | UnitModule | None:
    """The module whose copy is asked for, of the same body; None where there is none (reported)."""
    if option is None:
        message = "momentum_copy needs the label of the module that it copies"
        ctx.report.error("missing-option", message, stage.span, "not given here", help=f"write `{example}`")
        return None
    match option.flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None):
            found = ctx.owner.find(name)
            if isinstance(found, LayerModule | UnitModule):
                return found
            if name in ctx.owner.unmade:
                return None
            if ctx.env.label(name) is None:
                labels = [m.name for _, m in ctx.owner.modules if isinstance(m, LayerModule | UnitModule)]
                ctx.report.unknown("label", name, option.flow.span, labels, where=" above in this body")
                return None
    ctx.report.error(
        "wrong-value",
        "momentum_copy takes the label of a layer, block or group of the same body",
        option.flow.span,
        "not one of them",
        help=f"label it first, `encoder: ...`, and write `{example}`",
    )
    return None


def given_by(module: LayerModule | UnitModule, x: Tensor) -> tuple[Tensor, ...] | None:
    """What the module gives for `x`; None where it does not take it."""
    if isinstance(module, LayerModule):
        made = module.inputs[0]
        return module.layer.infer(x) if same(made, x) else None
    entering = module.unit.inputs[0].type
    if not isinstance(entering, Tensor) or not same(entering, x):
        return None
    types = [seen_outside(output.type, module.unit.scope) for output in module.unit.outputs]
    return tuple(type_ for type_ in types if isinstance(type_, Tensor))
