"""Blocks and labelled groups: units of their own, each a class in the emitted code."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from ...grammar import tree
from ...grammar.source import Span
from ..ir.graph import Copies, Module, Run, UnitModule, Value
from ..layers.registry import stem
from ..semantics.evaluate import FAULT, NONE, Recipe, evaluate, is_number
from ..semantics.number import Reference
from ..semantics.report import Report
from ..semantics.resolve import FileScope
from ..semantics.tensor import called_outside
from . import flows, lines, reuse, sides
from .arguments import Given, given_arguments
from .context import Branches, Build, Context, Flowing, Opened, Placed
from .defaults import defaults_for
from .draft import UnitDraft, labels_in
from .env import Env, Labelled, OpenFlow
from .leftovers import check_last, check_left, check_unused
from .repeated_names import report_repeated
from .signatures import as_promised, bind_type, check_outputs, check_promised_dims, wrap_unsigned
from .written_names import check_names, taken_by


def run_block(block: tree.Block | tree.Model, stage: tree.Stage, x: Value | None, ctx: Context) -> Flowing:
    """Place a block, or a model inside another: its own unit, its parameters, its body, what its signature promises."""
    before = ctx.made_before(stage)
    if before is not None and x is not None:
        return reuse.run_unit_again(before, stage, x, ctx)
    if stage.body is not None:
        ctx.report.error(
            "unexpected-body", f"`{block.name}` takes no braces", stage.body.span, "a block has its body already"
        )
    given = _arguments(block, stage, ctx)
    inputs = None if given is None else _inputs(block, stage, x, given, ctx)
    if ctx.alone:
        check_names(stage, ctx)  # what stands there is no less used
        ctx.leave_unmade(ctx.module_name(stem(block.name.text)))
        return ctx.unknown()
    if given is None or inputs is None:
        unknown = tuple(ctx.unknown() for _ in _ports(block) or (None,))
        aside = ctx.within(nodes=[], opened=None, untried=None)
        build_block(block, stage, unknown, given, aside)  # its own faults are told all the same
        ctx.leave_unmade(ctx.module_name(stem(block.name.text)))
        return ctx.unknown()

    def build(x: Value, inner: Context) -> Placed | None:
        return build_block(block, stage, (x, *inputs[1:]), given, inner.within(env=ctx.env))

    def build_with(given: Given, report: Report) -> Placed | None:
        aside = ctx.within(nodes=[], opened=None, report=report, untried=None)
        return build_block(block, stage, inputs, given, aside)

    placed = build(inputs[0], ctx)
    if placed is None:
        ctx.leave_unmade(ctx.module_name(stem(block.name.text)))
        return ctx.unknown()
    if ctx.untried is not None and isinstance(block, tree.Block):
        ctx.untried.called(block, given, ctx.env, build_with)
    name = ctx.module_name(stem(block.name.text))
    return _run(placed, name, inputs[:1], stage, ctx, build)


def build_block(
    block: tree.Block | tree.Model, stage: tree.Stage, inputs: tuple[Value, ...], given: Given | None, ctx: Context
) -> Placed | None:
    """The unit of a call; None where an argument has a fault. `given` is None where the arguments cannot be read."""
    before = len(ctx.report)
    placed = _build_block(block, stage, inputs, given, ctx)
    if len(ctx.report) > before and block.span.source is not stage.span.source:
        ctx.report.called_from(before, block.span, stage.span)
    return placed


def _build_block(
    block: tree.Block | tree.Model, stage: tree.Stage, inputs: tuple[Value, ...], given: Given | None, ctx: Context
) -> Placed | None:
    if not ctx.has_room(block.body, stage.span):
        return None
    ports = block.signature.inputs if block.signature else ()
    draft = UnitDraft("block", block.name.text, block.span, ctx.owner, labels_in(block.body), scope=stage.span)
    env = Env(None, ctx.env.file.owner(block.name.text))
    right = given is not None
    if isinstance(block, tree.Block):
        right &= _give_params(block, stage, given, env, draft, ctx)
    way = Opened(block.name.text, None, None, ctx.way)
    # A block is as deep as where it is called: its residuals stand in the `repeat` there.
    inner = ctx.within(unit=draft, env=env, nodes=[], hint=None, site=None, opened=None, inside=None, way=way)
    for position, value in enumerate(inputs):
        port = ports[position] if position < len(ports) else None
        type_ = ctx.outward(value.type)
        if port is not None:
            type_ = bind_type(port, type_, env, draft.scope, f"`{block.name}`", stage.span, ctx.report)
        else:
            type_ = wrap_unsigned(type_, draft.scope)
        entering = draft.own(Value(type_, port.name.text if port and port.name else None))
        draft.inputs.append(entering)
        if port and port.name:
            # The first input also comes by the arrow, so its name need not be used.
            env.give(port.name.text, entering, port.name.span, must_be_used=position > 0)
    promised = block.signature.outputs if block.signature else None
    check_promised_dims(promised or (), env, ctx.report)
    # With several inputs nothing runs in a model until a line names one.
    start = None if isinstance(block, tree.Model) and len(ports) > 1 else draft.inputs[0]
    flowing = lines.run_lines(block.body, start, inner, promised or ())
    outputs = unit_outputs(promised, flowing, block.body, inner)
    check_left(draft, outputs, ctx.report)
    check_unused(inner)
    outputs = outputs if promised is None else as_promised(promised, outputs, inner)
    results = type(flowing) if promised is None and isinstance(flowing, Branches) else tuple
    return Placed((draft.close(outputs, inner.nodes),), draft, inputs[1:], results) if right else None


def run_group(label: tree.Label, body: tree.Body, x: Value | None, ctx: Context) -> Flowing:
    """`label: { ... }`: the modules inside lie one level deeper."""
    before = ctx.made_before(label)
    if before is not None and x is not None:
        return reuse.run_unit_again(before, label, x, ctx)

    def build(x: Value | None, around: Context) -> Placed:
        draft = UnitDraft("group", label.name.text, label.span, around.owner, labels_in(body), scope=label.span)
        entering = None if x is None else draft.own(Value(around.outward(x.type)))
        if entering is not None:
            draft.inputs.append(entering)
        env = Env(ctx.env, ctx.env.file)
        env.inside_library = ctx.env.inside_library
        inner = around.within(unit=draft, env=env, nodes=[], hint=None, site=None, opened=None, inside=None)
        flowing = lines.run_lines(body, entering, inner)
        outputs = flowing if isinstance(flowing, tuple) else (flows.first(flowing, inner, body),)
        check_left(draft, outputs, ctx.report)
        check_unused(inner)
        results = type(flowing) if isinstance(flowing, Branches) else tuple
        return Placed((draft.close(outputs, inner.nodes),), draft, results=results)

    placed = build(x, ctx)
    holds = placed.draft.unmade or any(holds_modules(module) for _, module in placed.draft.modules)
    if not (holds or could_hold_modules(body, ctx)):
        ctx.report.error(
            "label-without-module",
            f"`{label.name}` holds no module that a label could name",
            label.name.span,
            "names nothing",
            help=f"write `{{ ... }} as {label.name}` to name the value that flows out",
        )
    return _run(placed, ctx.full_name(label.name.text), () if x is None else (x,), label, ctx, build)


def could_hold_modules(node: tree.Node, ctx: Context) -> bool:
    """Whether the text of what has no modules could make some: with other numbers, of flows handed over, or in place of
    what has an error."""
    if ctx.report.names_elsewhere:
        return True
    found = ctx.report.diagnostics
    faults = [d.span for d in found if d.severity == "error" and d.code != "label-without-module"]
    return _could_hold(node, ctx.env.lookup, (), ctx.env.file, faults)


def _could_hold(
    node: tree.Node, find: Callable[[str], object], params: Container[str], file: FileScope, faults: Sequence[Span]
) -> bool:
    """`params` are names whose flows are looked at where they are handed over."""
    if any(fault.source is node.span.source and node.span.start <= fault.start < node.span.end for fault in faults):
        return True
    for part in tree.walk(node):
        if isinstance(part, tree.Choice):
            return True
        word = part.path.parts[0] if isinstance(part, tree.Stage) else ""
        if not word or word in params:
            continue
        found = find(word)
        if word == "repeat" or found is FAULT or isinstance(found, Recipe | OpenFlow):
            return True
        block = file.blocks.get(word) or file.models.get(word)
        if block is None:
            continue
        inside, names = file.owner(word), {param.name.text for param in _params(block)}
        flows_of_block = [block.body, *(param.default for param in _params(block) if param.default is not None)]
        if any(_could_hold(flow, inside.find, names, inside, faults) for flow in flows_of_block):
            return True
    return False


def holds_modules(module: Module) -> bool:
    """Whether a layer lies in a module, at any depth."""
    if not isinstance(module, UnitModule | Copies):
        return True
    units = [module.unit] if isinstance(module, UnitModule) else {id(unit): unit for unit in module.units}.values()
    return any(holds_modules(inner) for unit in units for inner in unit.modules)


def _run(
    placed: Placed,
    name: str,
    first: tuple[Value, ...],
    node: tree.Stage | tree.Label,
    ctx: Context,
    build: Build,
) -> Flowing:
    """Enter the unit as a module, and run it."""
    beside = (*placed.beside, *placed.draft.captures())
    local = ctx.make(UnitModule(name, placed.units[0], node.span), node, beside)
    ctx.owner.remember_inside(name, placed.draft)
    ctx.owner.remember(name, build, placed.results)
    types = placed.types
    if first:
        types = tuple(called_outside(t, placed.units[0].inputs[0].type, first[0].type) for t in types)
    outputs = ctx.emit(Run(), (*first, *beside), types, node.span, local)
    return outputs[0] if len(outputs) == 1 else placed.results(outputs)


def unit_outputs(
    ports: tuple[tree.Port, ...] | None, flowing: Flowing, body: tree.Body, ctx: Context
) -> tuple[Value, ...]:
    """What a unit gives out: the value at the end, or those named like its ports."""
    if ports is None:
        return flowing if isinstance(flowing, tuple) else (flows.first(flowing, ctx, body),)
    outputs: list[Value] = []
    named = True
    for port in ports:
        found = ctx.env.lookup(port.name.text) if port.name else None
        if isinstance(found, Value):
            outputs.append(found)
        elif len(ports) == 1:
            named = False
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
    if named:
        check_last(flowing, outputs, body, ctx)
    check_outputs(ports, tuple(outputs), ctx)
    return tuple(outputs)


def _arguments(block: tree.Block | tree.Model, stage: tree.Stage, ctx: Context) -> Given | None:
    params = [param.name.text for param in _params(block)]
    sides = [port.name.text for port in _ports(block)[1:] if port.name]
    there_are = taken_by(block) if isinstance(block, tree.Block) else ""
    given = None
    if not report_repeated(block, ctx.report):
        given = given_arguments(stage, [*params, *sides], ctx.report, by_name=sides, there_are=there_are)
    if given is None:
        check_names(stage, ctx)  # what stands there is no less used
        return None
    return defaults_for(block.name.text, stage, ctx.env) | given


def _params(block: tree.Block | tree.Model) -> tuple[tree.Param, ...]:
    return (block.params or ()) if isinstance(block, tree.Block) else ()


def _ports(block: tree.Block | tree.Model) -> tuple[tree.Port, ...]:
    return block.signature.inputs if block.signature else ()


def _give_params(
    block: tree.Block, stage: tree.Stage, given: Given | None, env: Env, draft: UnitDraft, ctx: Context
) -> bool:
    """Whether all parameters have a value; those that have none are faults, and the body is looked at all the same."""
    right = True
    params = {param.name.text: param for param in block.params or ()}
    for position, (name, param) in enumerate(params.items()):
        if given is None:
            env.give(name, FAULT, param.span)
            continue
        option = given.get(name)
        if option is not None:
            origin = option.flow, option.scope or ctx.env
        elif param.default is not None:
            origin = param.default, env.so_far()
        else:
            ctx.report.error(
                "missing-option",
                f"`{block.name}` needs `{name}`",
                stage.span,
                "not given here",
                labels=((param.span, "a parameter without a default"),),
                help=f"write `{block.name}({name} = ...)`",
            )
            env.give(name, FAULT, param.span)
            right = False
            continue
        flow, scope = origin
        value = evaluate(flow, scope, ctx.report)
        if isinstance(value, OpenFlow | Labelled):
            # A name of the caller's: used here, it is the flow that the caller shares.
            value = Recipe(flow, scope) if option is not None else value
        if isinstance(value, Value):
            ctx.report.error(
                "value-as-parameter",
                f"`{name}` is fixed when the model is built, and this flows",
                flow.span,
                "known only at run time",
                help="hand it in as a further input of the block",
            )
            value = FAULT
        right &= value is not FAULT
        if is_number(value):
            value = Reference(name, "parameter", draft.scope, value, place=position)
        env.give(name, NONE if value is None else value, param.span, origin=origin)
    return right


def _inputs(
    block: tree.Block | tree.Model, stage: tree.Stage, x: Value | None, given: Given, ctx: Context
) -> tuple[Value, ...] | None:
    """What comes by the arrow, then the further inputs by their names; None where one is missing (reported)."""
    inputs = [flows.needed(x, stage, ctx)]
    for port in _ports(block)[1:]:
        value = None if port.name is None else _side_input(block, port.name.text, stage, given, ctx)
        if value is None:
            return None
        inputs.append(value)
    return tuple(inputs)


def _side_input(
    block: tree.Block | tree.Model, side: str, stage: tree.Stage, given: Given, ctx: Context
) -> Value | None:
    option = given.get(side)
    if option is None:
        ctx.report.error(
            "missing-input",
            f"`{block.name}` takes a further input, `{side}`",
            stage.span,
            "not given here",
            help=f"write `{block.name}({side} = value)`",
        )
        return None
    scope = option.scope if isinstance(option.scope, Env) else ctx.env
    return sides.value_of(option.flow, side, block.name.text, ctx.within(env=scope))
