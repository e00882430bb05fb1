"""A model's section becomes a graph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import islice

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..ir.graph import Apply, Graph, Node, Run, Unit, UnitModule, Value
from ..ir.weights import module_paths
from ..semantics.report import Report
from ..semantics.resolve import Spec
from ..semantics.tensor import UNKNOWN, Tensor, Type
from ..training.ports import Ports
from . import lines
from .blocks import unit_outputs
from .bounds import open_bounds
from .context import Context
from .draft import UnitDraft, labels_in
from .endless_blocks import leads_to_endless
from .env import Env
from .leftovers import check_left, check_unused
from .signatures import as_promised, check_promised_dims, open_type
from .untried import Untried

_MOST_PATHS = 10_000
"""Modules of a faulty model that a recipe can name."""


class Built(Frozen):
    """A model's graph (None where something kept it from being whole) and what its recipes have to know of it.

    `flows` are the types that flow out by the names of the outputs, whatever is promised.
    """

    graph: Graph | None
    ports: Ports
    flows: Mapping[str, Type] = field(default_factory=dict)


def build_model(spec: Spec, model: tree.Model, report: Report, untried: Untried | None = None) -> Built:
    """Place the body of a model on its inputs; faults are reported. `untried` is told of the calls of blocks."""
    if leads_to_endless(model, spec.scope):
        return Built(None, _no_ports(model))
    env = Env(None, spec.scope)
    draft = UnitDraft("model", model.name.text, model.span, None, labels_in(model.body), scope=model.span)
    bounds = open_bounds(model.signature.inputs, env, report)
    for port in model.signature.inputs:
        type_ = open_type(port.shape, env, bounds, report)
        if port.name is None:
            report.error(
                "nameless-port",
                "a model's input has a name: it is the name in the exported file",
                port.span,
                "no name here",
                help=f"write `(x: {port.span.text})`",
            )
        name = port.name.text if port.name else None
        value = draft.own(Value(type_, name))
        draft.inputs.append(value)
        if port.name is not None:
            single = len(model.signature.inputs) == 1
            _give_port(port.name, value, env, single, report)
    ctx = Context(report, draft, env, untried=untried)
    # With several inputs nothing runs until a line names one.
    start = draft.inputs[0] if len(draft.inputs) == 1 else None
    ports = model.signature.outputs
    check_promised_dims(ports or (), env, report)
    flowing = lines.run_lines(model.body, start, ctx, ports or ())
    if ports is None:
        report.error(
            "missing-outputs",
            "a model names its outputs",
            model.name.span,
            "promises nothing",
            help=f"write `model {model.name}: (...) -> (name: [B, ...])`",
        )
    for port in ports or ():
        if port.name is None:
            report.error(
                "nameless-port", "a model's output has a name", port.span, "no name here", help="(logits: [B, 10])"
            )
    _check_port_names(model.signature, report)
    outputs = unit_outputs(ports, flowing, model.body, ctx)
    check_left(draft, outputs, report)
    check_unused(ctx)
    draft.consumed.update(outputs)
    whole = all(isinstance(v.type, Tensor) for v in (*draft.inputs, *outputs))
    whole &= not report.failed and not report.incomplete
    # Of a promise that is not kept, which is told, a recipe knows neither what was promised nor what came.
    kept = as_promised(ports, outputs, ctx) if report.failed and ports and len(ports) == len(outputs) else outputs
    types = tuple(value.type for value in kept)
    flows = {str(port.name): value.type for port, value in zip(ports or (), outputs, strict=False) if port.name}
    ports_found = _ports(model, draft, outputs, types, ctx.nodes, spec.file.unread, whole=whole)
    if not whole:
        return Built(None, ports_found, flows)
    unit = draft.close(outputs, ctx.nodes)
    names = tuple(port.name.text for port in ports or () if port.name is not None)
    least = {name: bound.least.value for name, bound in bounds.items() if bound.least is not None}
    limits = {name: bound.most.value for name, bound in bounds.items() if bound.most is not None}
    return Built(Graph(unit, spec.scope.numbers(), limits, names, model.signature, least), ports_found, flows)


def _ports(
    model: tree.Model,
    draft: UnitDraft,
    outputs: tuple[Value, ...],
    types: tuple[Type, ...],
    nodes: list[Node],
    unread: Iterable[Span],
    *,
    whole: bool,
) -> Ports:
    named = [port for port in (*model.signature.inputs, *(model.signature.outputs or ())) if port.name]
    promised = [port for port in model.signature.outputs or () if port.name]
    paths = module_paths([module for _, module in draft.modules])
    # What is refused for its size has no end of them.
    made = frozenset(paths if whole else islice(paths, _MOST_PATHS))
    return Ports(
        model=model.name.text,
        inputs={value.name: value.type for value in draft.inputs if value.name},
        outputs={str(port.name): type_ for port, type_ in zip(promised, types, strict=False)},
        ends_in=_ends(promised, outputs, nodes, draft),
        spans={str(port.name): port.span for port in named},
        modules=made if whole else None,
        made=made,
        unmade=frozenset() if whole else _unmade(draft, made, unread),
    )


def _unmade(draft: UnitDraft, made: frozenset[str], unread: Iterable[Span]) -> frozenset[str]:
    """The names of modules that an error kept from being made; a word that could not be read may be one."""
    unreadable = (word for span in unread for word in re.findall(r"[a-z_]\w*", span.text))
    return frozenset([*draft.unmade, *draft.labels - made, *unreadable])


def _ends(promised: list[tree.Port], outputs: tuple[Value, ...], nodes: list[Node], draft: UnitDraft) -> dict[str, str]:
    """The word of the layer that makes each output, where it is a layer."""
    found: dict[str, str] = {}
    for port, value in zip(promised, outputs, strict=False):
        word = _last_word(value, nodes, draft)
        if word is not None:
            found[str(port.name)] = word
    return found


def _last_word(value: Value, nodes: Sequence[Node], draft: UnitDraft | None, unit: Unit | None = None) -> str | None:
    """The word of the layer that makes a value, looked for inside the block or group that gives it out too."""
    node = next((node for node in reversed(nodes) if value in node.outputs), None)
    if node is None:
        return None
    if isinstance(node.op, Apply):
        return node.op.layer.word
    if not isinstance(node.op, Run) or node.module is None:
        return None
    module = draft.find(node.module) if draft is not None else unit.module(node.module) if unit is not None else None
    if not isinstance(module, UnitModule):
        return None
    inner = module.unit
    return _last_word(inner.outputs[node.outputs.index(value)], inner.nodes, None, inner)


def _no_ports(model: tree.Model) -> Ports:
    def unknown(ports: tuple[tree.Port, ...]) -> dict[str, Type]:
        return {str(port.name): UNKNOWN for port in ports if port.name}

    return Ports(model.name.text, unknown(model.signature.inputs), unknown(model.signature.outputs or ()))


def _give_port(name: tree.Name, value: Value, env: Env, single: bool, report: Report) -> None:
    before = env.give(name.text, value, name.span, must_be_used=not single)
    if before is not None:
        report.error(
            "repeated-name",
            f"two inputs are called `{name}`",
            name.span,
            "given again here",
            labels=((before.span, "given here first"),),
        )


def _check_port_names(signature: tree.Signature, report: Report) -> None:
    """In the exported file a name is one tensor: an output has no other's name, nor an input's."""
    first = {port.name.text: port for port in signature.inputs if port.name}
    for port in signature.outputs or ():
        if port.name is None:
            continue
        before = first.setdefault(port.name.text, port)
        if before is not port:
            kind = "an input" if before in signature.inputs else "an output"
            report.error(
                "repeated-name",
                f"{kind} is called `{port.name}` too",
                port.name.span,
                "given again here",
                labels=((before.span, "given here first"),),
                help="ports are told apart by their names in the exported file: give one of them another",
            )
