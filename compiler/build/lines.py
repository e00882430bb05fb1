"""The lines of a body: what leaves one enters the next."""

from __future__ import annotations

from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..ir.graph import Value
from ..semantics.arithmetic import MATHS
from ..semantics.evaluate import FAULT, Recipe, evaluate, is_number
from ..semantics.tensor import Tensor
from . import flows
from .context import Branches, Context, Flowing, NamedBranches, Opened
from .defaults import check_default
from .draft import UnitDraft, labels_in
from .env import Env, Labelled, OpenFlow
from .labels import check_label
from .leftovers import check_unused
from .reach import check_default_values


def run_body(body: tree.Body, x: Value | None, ctx: Context) -> Flowing:
    """Braces without a label: the same unit, names of their own."""
    inner = ctx.within(env=Env(ctx.env, ctx.env.file))
    flowing = run_lines(body, x, inner)
    check_unused(inner)
    return flowing


def run_unplaced(body: tree.Body, ctx: Context, index: tree.Name | None = None) -> None:
    """The body of what an error kept from being placed, on an unknown value: its own faults are told all the same.

    It is looked at like a copy, in which `index` is a number that nobody knows.
    """
    draft = UnitDraft("copy", "", body.span, ctx.owner, labels_in(body))
    env = Env(ctx.env, ctx.env.file)
    if index is not None:
        env.give(index.text, FAULT, index.span)
    inner = ctx.within(unit=draft, env=env, nodes=[], hint=None, site=None, opened=None, inside=None)
    draft.inputs.append(inner.unknown())
    run_lines(body, draft.inputs[0], inner)
    check_unused(inner)
    for _, outer in draft.captured:
        ctx.unit.consumed.add(ctx.unit.take(outer))


def run_lines(body: tree.Body, x: Value | None, ctx: Context, ports: tuple[tree.Port, ...] = ()) -> Flowing:
    """The lines of a body in `ctx.env`; gives what the last stage gives.

    A body that gives every one of its `ports` a value with `=` needs no stage.
    """
    flowing: Flowing | None = x
    stages = [line for line in body.lines if not isinstance(line, tree.Binding | tree.Default | tree.Phase)]
    for line in body.lines:
        try:
            flowing = _run_line(line, flowing, ctx, is_last=bool(stages) and line is stages[-1])
        except RecursionError:
            if ctx.unit.parent is not None or ctx.way is not None:
                raise  # to the line of the model that leads here
            ctx.report.too_deep(line.span, "this line leads there")
            flowing = ctx.unknown()
    if not stages and not (ports and all(_is_given(port, ctx) for port in ports)):
        label = "nothing is done here"
        ctx.report.error("empty-body", "this body has no stage", body.span, label, help="write a stage, or `identity`")
    return ctx.unknown() if flowing is None or not stages else flowing


def _run_line(line: tree.Line, flowing: Flowing | None, ctx: Context, *, is_last: bool) -> Flowing | None:
    """What flows behind the line."""
    match line:
        case tree.Binding():
            _bind(line, ctx)
        case tree.Default():
            ctx.env.defaults.append(line)
            check_default(line, ctx.env.file, ctx.report)
            check_default_values(line, ctx.env.file, ctx.env, ctx.report)
        case tree.Phase():
            ctx.report.error(
                "misplaced-phase", "a phase belongs into `train`", line.span, "not in a body", help="move it there"
            )
        case tree.Named(flow=flow, names=names):
            return _name(_line(flow, flowing, ctx), names, line, ctx)
        case _:
            flowing = _line(line, flowing, ctx)
            return flowing if is_last else _flowing_on(flowing, line, ctx)
    return flowing


def _flowing_on(flowing: Flowing, line: tree.Flow, ctx: Context) -> Flowing:
    """What a line hands to the next; a line that is a number is told where it stands."""
    return flowing if isinstance(flowing, Value | tuple) else flows.first(flowing, ctx, line)


def _is_given(port: tree.Port, ctx: Context) -> bool:
    found = ctx.env.bound.get(port.name.text) if port.name else None
    return found is not None and isinstance(found.what, Value)


def _line(flow: tree.Flow, before: Flowing | None, ctx: Context) -> Flowing:
    if isinstance(before, Branches) and takes_running(flow, ctx):
        return flows.run_on(flow, before, ctx)
    says_nothing = isinstance(flow, tree.String | tree.Bool | tree.Nothing)  # told where it is placed
    if isinstance(before, Branches) and before.would_lose and not says_nothing:
        ctx.unit.left += [(value, flow.span) for value in before]
        return flows.run(flow, before[0], ctx)
    x = None if before is None else flows.first(before, ctx, flow)
    if x is None or says_nothing or takes_running(flow, ctx):
        return flows.run(flow, x, ctx)
    if not _names(flow, x, ctx) and not _another_is_named(before, ctx) and not _begins_unknown(flow, ctx):
        ctx.unit.left.append((x, flow.span))
    return flows.run(flow, x, ctx)


def _another_is_named(flowing: Flowing | None, ctx: Context) -> bool:
    """Whether one of several results was named, as in `LSTM(8) as _, last`: the first is then left on purpose."""
    others = flowing[1:] if isinstance(flowing, tuple) else ()
    return any(isinstance(value, Value) and (value.name or value in ctx.unit.named) for value in others)


def _names(flow: tree.Flow, x: Value, ctx: Context) -> bool:
    """Whether the flow begins by naming the very value that runs: `image -> ...` on the first line."""
    head = flow.stages[0] if isinstance(flow, tree.Then) else flow
    return isinstance(head, tree.Stage) and head.args is None and ctx.env.lookup(head.path.parts[0]) is x


def _begins_unknown(flow: tree.Flow, ctx: Context) -> bool:
    """Whether the flow begins with a name of which nobody knows whether it takes what runs: its own line is wrong."""
    head = flow.stages[0] if isinstance(flow, tree.Then) else flow
    return isinstance(head, tree.Stage) and head.args is None and ctx.env.lookup(head.path.parts[0]) is FAULT


def _bind(line: tree.Binding, ctx: Context) -> None:
    """`name = flow`: a flow that takes nothing is a value, computed here; any other is kept for its uses."""
    if isinstance(line.value, tree.Unread):
        what: object = FAULT
    elif takes_running(line.value, ctx):
        what = OpenFlow(line.value, ctx.env.so_far(), ctx.unit)
    elif not flows.names_flow(line.value, ctx):
        what = evaluate(line.value, ctx.env, ctx.report)
    else:
        flowing = flows.run(line.value, None, ctx)
        what = _with_name(flowing, line.name.text, ctx) if isinstance(flowing, Value) else flowing
    _give(line.name, what, ctx)


def _name(flowing: Flowing, names: tuple[tree.Name, ...], line: tree.Named, ctx: Context) -> Flowing:
    """`flow as a, b`: names what flows out and changes nothing in it."""
    if isinstance(flowing, Branches) and flowing.would_lose and len(names) < len(flowing):
        _ask_for_names(flowing, names, ctx)
    elif len(names) == 1:
        value = flows.first(flowing, ctx, line.flow)
        named = _with_name(value, names[0].text, ctx)
        _give(names[0], named, ctx)
        return named if not isinstance(flowing, tuple) else (named, *flowing[1:])
    values = flowing if isinstance(flowing, tuple) else (flows.first(flowing, ctx, line.flow),)
    made = len(names)
    if len(names) > len(values):
        known = all(isinstance(v, Value) and isinstance(v.type, Tensor) for v in values)
        if known:
            made = len(values)
            ctx.report.error(
                "too-many-names",
                f"{len(names)} names for {len(values)} {'value' if len(values) == 1 else 'values'}",
                names[len(values)].span,
                "there is nothing for this name",
                help="`as` names the results in order",
            )
        values = (*values, *(ctx.unknown() for _ in range(len(names) - len(values))))
    named_values: list[Value] = []
    for position, (name, value) in enumerate(zip(names, values, strict=False)):
        assert isinstance(value, Value)
        named = value if name.text == "_" else _with_name(value, name.text, ctx)
        named_values.append(named)
        if name.text != "_":
            _give(name, named if position < made else FAULT, ctx)
    rest = tuple(v for v in values[len(names) :] if isinstance(v, Value))
    whole = (*named_values, *rest)
    return NamedBranches(whole) if isinstance(flowing, Branches) else whole


def _ask_for_names(values: Branches, names: tuple[tree.Name, ...], ctx: Context) -> None:
    """Each value of a list or `split` is named or skipped."""
    rest = ", _" * (len(values) - len(names))
    given = "one name is" if len(names) == 1 else f"{len(names)} names are"
    ctx.report.error(
        "lost-value",
        f"{len(values)} values flow out here, and {given} given",
        names[-1].span,
        "the last name",
        help=f"write `as {', '.join(name.text for name in names)}{rest}`: `_` skips one",
        fixes=(Fix(names[-1].span, names[-1].text + rest),),
    )


def _with_name(value: Value, name: str, ctx: Context) -> Value:
    """The value under the name it was given, where it was just produced and has none yet."""
    if not ctx.nodes or value.name is not None or value not in ctx.nodes[-1].outputs or value in ctx.unit.consumed:
        return value
    named = ctx.unit.own(Value(value.type, name))
    node = ctx.nodes[-1]
    ctx.nodes[-1] = replace(node, outputs=tuple(named if o is value else o for o in node.outputs))
    return named


def _give(name: tree.Name, what: object, ctx: Context) -> None:
    before = ctx.env.give(name.text, what, name.span, must_be_used=what is not FAULT)
    if isinstance(what, Value):
        ctx.unit.named.add(what)
    if before is not None:
        ctx.report.error(
            "repeated-name",
            f"`{name.text}` is given twice in this body",
            name.span,
            "given again here",
            labels=((before.span, "given here first"),),
            help="each name stands for one thing in a body: give one of them another name",
        )


def enter_label(label: tree.Label, ctx: Context) -> Context:
    """Enter a label into its body; each is given once to a level of the checkpoint, and must be able to be an attribute
    in Python.

    Returns the context of what it names, in which it cannot be used yet.
    """
    name = label.name.text
    check_label(label.name, ctx.report)
    if ctx.opened is not None and name in ctx.env.labels:
        return ctx
    if name in ctx.env.labels:
        ctx.report.error(
            "repeated-label",
            f"two modules of this body are labelled `{name}`",
            label.name.span,
            "labelled again here",
            labels=((ctx.env.labels[name][1], "labelled here first"),),
            help="a label is a key of the checkpoint: give one of them another",
        )
        return ctx
    labelled = Labelled(ctx.full_name(name), ctx.owner)
    _enter_at_level(label.name, labelled.module, ctx)
    ctx.env.labels[name] = (labelled, label.name.span)
    return ctx.within(way=Opened(name, labelled, None, ctx.way))


def _enter_at_level(name: tree.Name, key: str, ctx: Context) -> None:
    """Hold a label against those of other bodies whose modules lie at the same level of the checkpoint."""
    before = ctx.owner.labelled.get(key)
    if before is None:
        ctx.owner.labelled[key] = name.span
        module = ctx.owner.find(key)  # one without a label, where what is handed over has one of that name
        if module is None:
            return
        before = module.span
    elif ctx.opened is not None and before == name.span:
        return  # the flow of a name, run again
    ctx.report.error(
        "repeated-label",
        f"another module of this level of the checkpoint is called `{name}`",
        name.span,
        "called so again here",
        labels=((before, "called so first"),),
        help="only a label, `repeat` and `experts` add a level to the keys: give one of them another label",
    )


def takes_running(flow: tree.Flow | tree.Keyword, ctx: Context) -> bool:
    """Whether something in the flow takes the value that runs down the page."""
    match flow:
        case tree.Then(stages=stages):
            return takes_running(stages[0], ctx)
        case tree.Label(target=target):
            return takes_running(target, ctx)
        case tree.Body(lines=body):
            head = next((line for line in body if not isinstance(line, tree.Binding | tree.Default | tree.Phase)), None)
            return head is None or takes_running(head.flow if isinstance(head, tree.Named) else head, ctx)
        case tree.Binary(left=left, right=right):
            return takes_running(left, ctx) or takes_running(right, ctx)
        case tree.Negate(operand=operand):
            return takes_running(operand, ctx)
        case tree.Choice(then=then, otherwise=otherwise):
            return takes_running(then, ctx) or takes_running(otherwise, ctx)
        case tree.List(entries=entries):
            # An empty list is told where it is placed.
            return not entries or any(takes_running(e, ctx) for e in entries if not isinstance(e, tree.Entry))
        case tree.Keyword(value=value):
            return takes_running(value, ctx)
        case tree.Unread():
            return True
        case tree.Stage(path=path, args=args):
            word = path.parts[0]
            layer = ctx.env.file.layer(word) if len(path.parts) == 1 else None
            if layer is not None and not layer.takes_running:
                return False
            if args is not None:
                if word in MATHS or word in ctx.env.file.functions:
                    return any(takes_running(arg, ctx) for arg in args)
                return True
            found = ctx.env.lookup(word)
            # A name that nothing has is taken for a stage.
            return isinstance(found, Recipe) or not (
                isinstance(found, Value | tuple | str | bool) or is_number(found) or found is FAULT
            )
    return not isinstance(flow, tree.Number | tree.Percent | tree.String | tree.Bool | tree.Nothing)
