"""`repeat(n, index = i) { f }`: n copies with weights of their own, one after the other."""

from __future__ import annotations

from dataclasses import replace

from ...grammar import tree
from ..ir.graph import Copies, RunCopies, Unit, Value
from ..semantics.number import Number, Reference, number, whole
from ..semantics.tensor import Tensor, Type, same, seen_outside
from . import flows, lines, reuse
from .arguments import given_arguments
from .context import Context, Flowing, Placed, called
from .counts import read_count
from .defaults import COMBINATOR_OPTIONS_BY_NAME, REPEAT_OPTIONS
from .draft import UnitDraft, labels_in
from .env import Env
from .leftovers import check_left, check_unused
from .signatures import wrap_unsigned
from .written_names import Local, check_names, is_index


def run_repeat(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """Place the copies. A copy is built anew where it may differ from the one before: by its index or its input."""
    read = _options(stage, ctx)
    if read is None or stage.body is None:
        if stage.body is None:
            ctx.report.error(
                "missing-body",
                "`repeat` makes copies of its body",
                stage.span,
                "has no body",
                help="write `repeat(4) { ... }`",
            )
        else:
            lines.run_unplaced(stage.body, ctx, index_of(stage))
        return ctx.unknown()
    count, index = read
    if count.value == 0:
        check_names(stage.body, ctx, Local(frozenset({index.text} if index is not None else ())))
        if ctx.hint is not None:
            ctx.owner.empty.add(ctx.full_name(ctx.hint))
        return x
    before = ctx.made_before(stage)
    if before is not None:
        return reuse.run_unit_again(before, stage, x, ctx)
    name = ctx.module_name("layers")
    x = ctx.unit.take(x)
    body = stage.body

    def build(x: Value, around: Context) -> Placed | None:
        return _copies(stage, body, name, count, index, x, around.within(env=ctx.env))

    placed = build(x, ctx)
    if placed is None:
        ctx.leave_unmade(name)
        return ctx.unknown()
    local = ctx.make(Copies(name, count, placed.units, stage.span), stage, placed.beside)
    ctx.owner.remember_inside(name, placed.draft)
    ctx.owner.remember(name, build)
    return ctx.emit(RunCopies(), (x, *placed.beside), placed.types, stage.span, local)[0]


def _copies(
    stage: tree.Stage, body: tree.Body, name: str, count: Number, index: tree.Name | None, x: Value, ctx: Context
) -> Placed | None:
    labels = labels_in(body)
    by_index = index is not None
    units: list[Unit] = []
    drafts: list[UnitDraft] = []
    flowing = ctx.outward(x.type)
    for i in range(whole(count)):
        repeated = i > 0 and _takes(units[-1], flowing)
        if repeated and not by_index:
            # The same input gives the same copy, so all that follow are the same too, if it gives what it takes.
            units.append(units[-1])
            drafts.append(drafts[-1])
            flowing = seen_outside(units[-1].outputs[0].type, drafts[-1].scope)
            continue
        if not ctx.has_room(body, called(stage)):
            check_names(body, ctx, Local(frozenset({index.text} if index is not None else ())))
            return None
        draft = UnitDraft("copy", name, stage.span, ctx.owner, labels, scope=stage.span)
        env = Env(ctx.env, ctx.env.file)
        if index is not None:
            env.give(index.text, Reference(index.text, "index", stage.span, number(i)), index.span)
        entering = draft.own(Value(wrap_unsigned(flowing, draft.scope)))
        draft.inputs.append(entering)
        inner = ctx.within(unit=draft, env=env, nodes=[], hint=None, site=None, opened=None, depth=count, inside=None)
        result = flows.first(lines.run_lines(body, entering, inner), inner, body)
        check_left(draft, (result,), ctx.report)
        check_unused(inner)
        units.append(draft.close((result,), inner.nodes))
        drafts.append(draft)
        flowing = seen_outside(result.type, draft.scope)
        if not isinstance(result.type, Tensor):
            return None
    captures = _share_captures(units, drafts)
    return Placed(tuple(units), drafts[-1], tuple(captures))


def _takes(unit: Unit, type_: Type) -> bool:
    """Whether a copy was made for just this; what came into one may be unknown where what leaves it is not."""
    made_for = unit.inputs[0].type
    return isinstance(type_, Tensor) and isinstance(made_for, Tensor) and same(made_for, type_)


def _share_captures(units: list[Unit], drafts: list[UnitDraft]) -> list[Value]:
    """What the copies take from around them. All copies get the same further inputs, whichever of them use them."""
    outer: list[Value] = []
    for draft in drafts:
        outer += [value for value in draft.captures() if value not in outer]
    for position, (unit, draft) in enumerate(zip(units, drafts, strict=True)):
        assert draft.parent is not None
        own = {id(draft.parent.take(o)): inner for inner, o in draft.captured}
        further = tuple(own.get(id(value)) or Value(value.type, value.name) for value in outer)
        if unit.inputs[1:] != further:
            units[position] = replace(unit, inputs=(unit.inputs[0], *further))
    return outer


def _options(stage: tree.Stage, ctx: Context) -> tuple[Number, tree.Name | None] | None:
    given = given_arguments(stage, REPEAT_OPTIONS, ctx.report, by_name=COMBINATOR_OPTIONS_BY_NAME["repeat"])
    if given is None:
        return None
    if "count" not in given:
        ctx.report.error(
            "missing-option", "`repeat` needs a count", stage.span, "not given here", help="such as `repeat(4) { ... }`"
        )
        return None
    count = read_count("repeat", "count", given["count"].flow, ctx.env, ctx.report)
    if count is None:
        return None
    index = given.get("index")
    if index is None:
        return count, None
    name = _new_name(index.flow)
    if name is not None:
        return count, name
    ctx.report.error(
        "wrong-value",
        "`index` takes a new name, which counts the copies from 0",
        index.flow.span,
        "not a name",
        help="index = i",
    )
    return None


def _new_name(flow: tree.Flow) -> tree.Name | None:
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if name[0].islower() or name[0] == "_":
            return tree.Name(name, span=flow.span)
    return None


def index_of(stage: tree.Stage) -> tree.Name | None:
    """The name of the index as it is written, where a `repeat` or its options have a fault."""
    named = (arg for arg in stage.args or () if isinstance(arg, tree.Keyword) and is_index(arg))
    return next((_new_name(arg.value) for arg in named), None)
