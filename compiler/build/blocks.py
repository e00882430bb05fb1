"""Blocks and labelled groups: units of their own, each a class in the emitted code."""

from __future__ import annotations

from ...grammar import tree
from ..ir.graph import Run, Unit, UnitModule, Value
from ..layers.registry import stem
from ..semantics.evaluate import FAULT, NONE, evaluate, is_number
from ..semantics.number import Reference
from ..semantics.report import Report
from ..semantics.resolve import FileScope
from ..semantics.tensor import seen_outside
from . import flows, lines
from .arguments import Given, given_arguments
from .context import Context, Flowing
from .defaults import defaults_for
from .draft import UnitDraft, labels_in
from .env import Env
from .leftovers import check_last, check_left, check_unused
from .signatures import bind_type, check_outputs, check_promised_dims, wrap_unsigned


def run_block(block: tree.Block, stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """Place a block: its own unit, its parameters, its body, and what its signature promises."""
    before = ctx.made_before(stage)
    if before is not None:
        return flows.run_unit_again(before, stage, x, ctx)
    if stage.body is not None:
        ctx.report.error(
            "unexpected-body", f"`{block.name}` takes no braces", stage.body.span, "a block has its body already"
        )
    ports = block.signature.inputs if block.signature else ()
    sides = [port.name.text for port in ports[1:] if port.name]
    params = {param.name.text: param for param in block.params or ()}
    given = given_arguments(stage, [*params, *sides], ctx.report)
    if given is None:
        return ctx.unknown()
    given = defaults_for(block.name.text, stage, ctx.env) | given
    name = ctx.hint if ctx.hint is not None and ctx.unit.find(ctx.hint) is None else None
    draft = UnitDraft("block", block.name.text, block.span, ctx.unit, labels_in(block.body), scope=stage.span)
    env = Env(None, ctx.env.file)
    if not _give_params(block, stage, params, given, env, draft, ctx):
        return ctx.unknown()
    inputs = [x]
    for side in sides:
        value = _side_input(block, side, stage, given, ctx)
        if value is None:
            return ctx.unknown()
        inputs.append(value)
    inner = ctx.within(unit=draft, env=env, nodes=[], hint=None, site=None, opened=None)
    for position, value in enumerate(inputs):
        port = ports[position] if position < len(ports) else None
        type_ = value.type
        if port is not None:
            type_ = bind_type(port, value.type, env, draft.scope, f"`{block.name}`", stage.span, ctx.report)
        else:
            type_ = wrap_unsigned(value.type, draft.scope)
        entering = draft.own(Value(type_, port.name.text if port and port.name else None))
        draft.inputs.append(entering)
        if port and port.name:
            # The first input also comes by the arrow, so its name need not be used.
            env.give(port.name.text, entering, port.name.span, must_be_used=position > 0)
    promised = block.signature.outputs if block.signature else None
    check_promised_dims(promised or (), env, ctx.report)
    flowing = lines.run_lines(block.body, draft.inputs[0], inner, promised or ())
    outputs = unit_outputs(promised, flowing, block.body, inner)
    check_left(draft, outputs, ctx.report)
    check_unused(inner)
    unit = draft.close(outputs, inner.nodes)
    return _placed(unit, draft, name or ctx.unit.free_name(stem(block.name.text)), tuple(inputs), stage, ctx)


def run_group(label: tree.Label, body: tree.Body, x: Value | None, ctx: Context) -> Flowing:
    """`label: { ... }`: the modules inside lie one level deeper."""
    before = ctx.made_before(label)
    if before is not None and x is not None:
        return flows.run_unit_again(before, label, x, ctx)
    draft = UnitDraft("group", label.name.text, label.span, ctx.unit, labels_in(body), scope=label.span)
    entering = None
    if x is not None:
        entering = draft.own(Value(x.type))
        draft.inputs.append(entering)
    inner = ctx.within(unit=draft, env=Env(ctx.env, ctx.env.file), nodes=[], hint=None, site=None, opened=None)
    flowing = lines.run_lines(body, entering, inner)
    outputs = flowing if isinstance(flowing, tuple) else (flows.first(flowing, inner, body),)
    check_left(draft, outputs, ctx.report)
    check_unused(inner)
    unit = draft.close(outputs, inner.nodes)
    return _placed(unit, draft, label.name.text, () if x is None else (x,), label, ctx)


def _placed(
    unit: Unit, draft: UnitDraft, name: str, inputs: tuple[Value, ...], node: tree.Stage | tree.Label, ctx: Context
) -> Flowing:
    ctx.make(UnitModule(name, unit, node.span), node)
    types = tuple(seen_outside(o.type, draft.scope) for o in unit.outputs)
    outputs = ctx.emit(Run(), (*inputs, *draft.captures()), types, node.span, name)
    return outputs[0] if len(outputs) == 1 else outputs


def unit_outputs(
    ports: tuple[tree.Port, ...] | None, flowing: Flowing, body: tree.Body, ctx: Context
) -> tuple[Value, ...]:
    """What a unit gives out: the value at the end, or those named like its ports."""
    if ports is None:
        return flowing if isinstance(flowing, tuple) else (flows.first(flowing, ctx, body),)
    outputs: list[Value] = []
    for port in ports:
        found = ctx.env.lookup(port.name.text) if port.name else None
        if isinstance(found, Value):
            outputs.append(found)
        elif len(ports) == 1:
            outputs.append(flows.first(flowing, ctx, body.lines[-1] if body.lines else body))  # type: ignore[arg-type]
        else:
            name = port.name.text if port.name else "?"
            ctx.report.error(
                "missing-output",
                f"nothing is called `{name}`",
                port.span,
                "promised here, and not produced",
                help=f"name the value with `as {name}` or `{name} = ...`",
            )
            outputs.append(ctx.unknown())
    check_last(flowing, outputs, body, ctx)
    check_outputs(ports, tuple(outputs), ctx)
    return tuple(outputs)


def _give_params(
    block: tree.Block,
    stage: tree.Stage,
    params: dict[str, tree.Param],
    given: Given,
    env: Env,
    draft: UnitDraft,
    ctx: Context,
) -> bool:
    for name, param in params.items():
        option = given.get(name)
        if option is not None:
            value = evaluate(option.flow, option.scope or ctx.env, ctx.report)
            place = option.flow.span
        elif param.default is not None:
            value, place = evaluate(param.default, env, ctx.report), param.default.span
        else:
            ctx.report.error(
                "missing-option",
                f"`{block.name}` needs `{name}`",
                stage.span,
                "not given here",
                labels=((param.span, "a parameter without a default"),),
                help=f"write `{block.name}({', '.join(params)})`",
            )
            return False
        if value is FAULT:
            return False
        if isinstance(value, Value):
            ctx.report.error(
                "value-as-parameter",
                f"`{name}` is fixed when the model is built, and this flows",
                place,
                "known only at run time",
                help="hand it in as a further input of the block",
            )
            return False
        if is_number(value):
            value = Reference(name, "parameter", draft.scope, value)
        env.give(name, NONE if value is None else value, param.span)
    return True


def _side_input(block: tree.Block, side: str, stage: tree.Stage, given: Given, ctx: Context) -> Value | None:
    option = given.get(side)
    if option is None:
        ctx.report.error(
            "missing-input",
            f"`{block.name}` takes a second input, `{side}`",
            stage.span,
            "not given here",
            help=f"write `{block.name}({side} = value)`",
        )
        return None
    flowing = flows.run(option.flow, None, ctx)
    return flows.first(flowing, ctx, option.flow)


def leads_to_itself(file: FileScope, report: Report) -> bool:
    """Whether a block's text leads back to itself (reported). A block handed over as a parameter is no cycle."""
    calls = {name: _calls(block, file) for name, block in file.blocks.items()}
    done: set[str] = set()
    found = False

    def walk(name: str, way: tuple[str, ...]) -> None:
        nonlocal found
        for called, place in calls[name].items():
            if called in way:
                circle = " -> ".join([*way[way.index(called) :], called])
                report.error("endless-block", f"this block contains itself: {circle}", place.span, "leads back here")
                found = True
            elif called not in done:
                walk(called, (*way, called))
        done.add(name)

    for name in calls:
        walk(name, (name,))
    return found


def _calls(block: tree.Block, file: FileScope) -> dict[str, tree.Path]:
    params = {param.name.text for param in block.params or ()}
    found: dict[str, tree.Path] = {}

    def walk(node: object) -> None:
        if isinstance(node, tree.Stage) and node.path.parts[0] in file.blocks and node.path.parts[0] not in params:
            found.setdefault(node.path.parts[0], node.path)
        if isinstance(node, tree.Node):
            for name in node.__dataclass_fields__:
                if name != "span":
                    walk(getattr(node, name))
        elif isinstance(node, tuple):
            for item in node:
                walk(item)

    walk(block.body)
    return found
