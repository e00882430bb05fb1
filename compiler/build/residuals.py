"""`residual(...) { f }`: y = post(scale * skip(x) + drop_path(gain * layer_scale * drop(out(f(pre(x))))))."""

from __future__ import annotations

from typing import Any

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..ir.graph import Region, Residual, Value
from ..layers import registry
from ..layers.base import Layer, ShapeFault
from ..layers.gains import Gain, LayerScale
from ..semantics.evaluate import FAULT, Recipe, evaluate, is_number
from ..semantics.number import Literal, Number, Operation, number, operation
from ..semantics.report import Unheard
from ..semantics.tensor import UNKNOWN, Tensor, Type, same
from . import flows, lines, placing, project
from .arguments import Given, Written, given_arguments
from .context import Context, Flowing, Opened
from .defaults import DEEPNORM, RESIDUAL_OPTIONS, defaults_for
from .draft import UnitDraft
from .env import Env, Labelled, OpenFlow, blamed, env_of
from .plain_values import names_nothing

NORMS = ("pre", "out", "post")
FLOWS = (*NORMS, "skip", "gate")


def run_residual(stage: tree.Stage, x: Value, ctx: Context) -> Flowing:
    """Place a residual: the branch is a region of the unit it stands in, and adds no level to the checkpoint."""
    written = _written(stage, ctx)
    parts = None if written is None else _parts(written, stage, x, ctx)
    if stage.body is None:
        ctx.report.error(
            "missing-body",
            "`residual` adds to a value what its body makes of it",
            stage.span,
            "has no body",
            help="write `residual { ... }`",
        )
        return ctx.unknown()
    if parts is None or written is None:
        # The body is still looked at, so that its own faults are told in the same run.
        lines.run_unplaced(stage.body, ctx)
        return ctx.unknown()
    x = ctx.unit.take(x)
    made = _Made(stage, stage.body, parts, written, ctx)
    branch = made.branch(x)
    if not isinstance(branch.output.type, Tensor) or not isinstance(x.type, Tensor):
        made.other_faults(x)
        return ctx.unknown()
    skip = made.skip(x, branch.output.type)
    gate = made.part("gate", x)
    if skip is FAULT or gate is FAULT or not made.meet(x, skip, branch, gate):
        return ctx.unknown()
    after = made.after(branch.output.type)
    if after is FAULT:
        return ctx.unknown()
    scale, shrink = parts.get("scale"), None
    if scale == DEEPNORM:
        scale, shrink = _deepnorm(ctx)
    out_type = after.output.type if after else branch.output.type
    return ctx.emit(Residual(branch, after, skip, scale, gate, shrink), (x,), (out_type,), stage.span)[0]


class _Made:
    """The parts of one residual while they are placed: `pre` is drawn before the body, the others behind it."""

    def __init__(self, stage: tree.Stage, body: tree.Body, parts: dict[str, Any], written: Given, ctx: Context) -> None:
        self.stage, self.body, self.parts, self.written, self.ctx = stage, body, parts, written, ctx
        self.base = _label_of(body)
        self.start = ctx.place(stage.span)
        self.end = body.span.end if ctx.site is None else ctx.site

    def branch(self, x: Value) -> Region:
        """drop_path(gain * layer_scale * drop(out(f(pre(x)))))"""
        entering = self.ctx.unit.own(Value(x.type))
        inner = self.ctx.within(nodes=[], hint=None)
        before, behind = inner.within(site=self.start), inner.within(site=self.end)
        h = self._norm("pre", entering, before)
        h = flows.first(lines.run_body(self.body, h, inner), inner, self.body)
        h = self._norm("out", h, behind)
        h = self._layer("drop", registry.get("Dropout"), "p", h, behind)
        h = self._layer("layer_scale", LayerScale, "start", h, behind)
        h = self._layer("gain", Gain, "start", h, behind)
        h = self._layer("drop_path", registry.get("DropPath"), "p", h, behind)
        self.ctx.unit.consumed.add(h)
        return Region(entering, tuple(inner.nodes), h)

    def skip(self, x: Value, branch: Tensor) -> Region | Any | None:
        """What is added to the branch; `project` is the identity where the shapes agree."""
        recipe = self.parts.get("skip")
        if isinstance(recipe, Recipe) and project.is_project(recipe.flow):
            assert isinstance(x.type, Tensor) and isinstance(recipe.flow, tree.Stage)
            flow = project.projection(recipe.flow, x.type, branch, self.ctx.within(env=env_of(recipe)))
            if flow is None or flow is FAULT:
                return flow
            self.parts["skip"] = flow
        return self.part("skip", x)

    def part(self, name: str, x: Value) -> Region | Any | None:
        """A region of its own over `x`: the identity is None. FAULT where it could not be placed (reported)."""
        recipe = self.parts.get(name)
        if recipe is None or _is_identity(recipe):
            return None
        entering = self.ctx.unit.own(Value(x.type))
        inner = self.ctx.within(nodes=[], hint=None, site=self.end)
        y = self._run(name, recipe, entering, inner)
        self.ctx.unit.consumed.add(y)
        return Region(entering, tuple(inner.nodes), y) if isinstance(y.type, Tensor) else FAULT

    def other_faults(self, x: Value) -> None:
        """Where the branch has a fault the other parts are looked at all the same."""
        recipe = self.parts.get("skip")
        if isinstance(recipe, Recipe) and not project.is_project(recipe.flow):
            self.part("skip", x)
        self.part("gate", x)
        self.after(UNKNOWN)

    def after(self, summed: Type) -> Region | Any | None:
        if self.parts.get("post") is None:
            return None
        entering = self.ctx.unit.own(Value(summed))
        inner = self.ctx.within(nodes=[], hint=None, site=self.end)
        y = self._norm("post", entering, inner)
        self.ctx.unit.consumed.add(y)
        return Region(entering, tuple(inner.nodes), y) if isinstance(y.type, Tensor) else FAULT

    def meet(self, x: Value, skip: Region | None, branch: Region, gate: Region | None) -> bool:
        """Whether both sides end in one shape, and the gate too, which may be wide as 1; else it is reported."""
        side = x.type if skip is None else skip.output.type
        end = branch.output.type
        assert isinstance(side, Tensor) and isinstance(end, Tensor) and isinstance(x.type, Tensor)
        if not same(end, side):
            over = f"{x.type} comes in" if skip is None else f"{side} comes over the skip"
            last = self.body.lines[-1].span if self.body.lines else self.body.span
            labels = [(last, f"the body ends in {end}")]
            if skip is not None:
                labels.append((self.parts["skip"].flow.span, f"the skip ends in {side}"))
            self.ctx.report.error(
                "shape-mismatch",
                f"the two branches of a residual must end in one shape: {over}, {end} comes out of the body",
                self.stage.path.span,
                f"{side} + {end}",
                labels=tuple(labels),
                help="let the body end as wide as what comes in"
                + ("" if skip is not None or "skip" in self.parts else ", or give `skip = project(...)`"),
            )
            return False
        gated = end if gate is None else gate.output.type
        assert isinstance(gated, Tensor)
        if not same(gated, end):
            self.ctx.report.error(
                "shape-mismatch",
                f"the gate weighs every entry of {end}, and it ends in {gated}",
                self.parts["gate"].flow.span,
                f"ends in {gated}",
                help=f"end it in {end}, such as `Linear(...) -> sigmoid`",
            )
            return False
        return True

    def _norm(self, part: str, x: Value, ctx: Context) -> Value:
        """`pre`, `out` or `post`: `attn_norm` wherever it is placed, `attn_pre_norm` if there are several."""
        recipe = self.parts.get(part)
        if recipe is None:
            return x
        several = sum(self.parts.get(name) is not None for name in NORMS) > 1
        return self._run(f"{part}_norm" if several else "norm", recipe, x, ctx)

    def _run(self, stem: str, recipe: Recipe, x: Value, ctx: Context) -> Value:
        """Several modules lie a level deeper, under the name that one would have."""
        flow = recipe.flow
        option = next(name for name, part in self.parts.items() if part is recipe)
        inside = self._opening(option, recipe, ctx)
        if inside is None:
            return ctx.unknown()
        ctx = inside
        name = ctx.free_name(f"{self.base}_{stem}" if self.base else stem)
        if isinstance(flow, tree.Stage) or _needs_no_level(recipe, x, ctx):
            return flows.first(flows.run_recipe(recipe, x, ctx.within(hint=name)), ctx, flow)
        label = tree.Label(tree.Name(name, span=flow.span), tree.Body((flow,), span=flow.span), span=flow.span)
        env = Env(env_of(recipe), ctx.env.file)
        env.inside_library = env_of(recipe).inside_library
        return flows.first(flows.run(label, x, ctx.within(env=env, opened=None)), ctx, flow)

    def _opening(self, option: str, recipe: Recipe, ctx: Context) -> Context | None:
        """The context in which the flow of an option runs, which may lead to a residual that has it too (reported)."""
        given = self.written[option]
        bare = isinstance(given.flow, tree.Stage) and given.flow.args is None and given.flow.body is None
        name = str(given.flow.path) if bare and isinstance(given.flow, tree.Stage) else option
        stage = self.stage.span
        inside = given.place.source is stage.source and stage.start <= given.place.start < stage.end
        labels = () if inside else ((given.place, f"what every residual below has for its `{option}`"),)
        within = ctx.within(way=Opened("residual", None, None, ctx.way))
        return within.opening(name, recipe.flow, self.stage.path.span, recipe.scope, labels)

    def _layer(self, stem: str, kind: type[Layer], option: str, x: Value, ctx: Context) -> Value:
        if stem not in self.parts or not isinstance(x.type, Tensor):
            return x
        layer = kind(**{option: self.parts[stem]})
        try:
            layer.infer(x.type)
        except ShapeFault as fault:
            place = self.written[stem].place if stem in self.written else self.stage.span
            ctx.report.error(fault.code, fault.message, place, f"{x.type} comes in", help=fault.help)
            return ctx.unknown()
        name = ctx.free_name(f"{self.base}_{stem}" if self.base else stem)
        return placing.put(layer, name, x, self.stage.span, ctx)


def _written(stage: tree.Stage, ctx: Context) -> Given | None:
    """The options as they are written, the call's own before the defaults'; None where one is none (reported)."""
    given = given_arguments(stage, RESIDUAL_OPTIONS, ctx.report) if _all_named(stage, ctx) else None
    return None if given is None else {**defaults_for("residual", stage, ctx.env), **given}


def _parts(options: Given, stage: tree.Stage, x: Value, ctx: Context) -> dict[str, Any] | None:
    """Option -> recipe or number; None where one is wrong (reported)."""
    parts: dict[str, Any] = {}
    right = True
    for name, option in options.items():
        value = _value(name, option, ctx)
        right &= value is not FAULT
        if value is not None and value is not FAULT:
            parts[name] = value
    if "gate" in parts and parts.get("scale") is not None:
        ctx.report.error(
            "conflict",
            "a gate weighs both sides of a residual, so there is nothing for `scale` to do",
            options["scale"].place,
            "beside a gate",
            help="take one of them out",
            labels=((options["gate"].place, "the gate"),),
        )
        return None
    if parts.get("scale") == DEEPNORM and _in_no_repeat(x, ctx):
        own = any(isinstance(arg, tree.Keyword) and arg.name.text == "scale" for arg in stage.args or ())
        ctx.report.error(
            "conflict",
            f"`{DEEPNORM}` takes its scale from the depth of the `repeat` around it, and there is none in this body",
            options["scale"].place if own else stage.path.span,
            "in no `repeat`",
            help=f"put it into `repeat(n) {{ ... }}`, or give `scale` a number: {DEEPNORM}'s is `(2 * n) ^ 0.25`",
            labels=() if own else ((options["scale"].place, "its scale is given here"),),
        )
        return None
    return parts if right else None


def _in_no_repeat(x: Value, ctx: Context) -> bool:
    """Whether no `repeat` is around in this body. Where `x` is unknown, a copy may be of one that has an error."""
    return ctx.depth is None and (isinstance(x.type, Tensor) or ctx.unit.kind in ("model", "block"))


def check_values(given: Given, ctx: Context) -> None:
    """Report wrong numbers among the options of a residual that is not built."""
    for name, option in given.items():
        if name in RESIDUAL_OPTIONS and name not in FLOWS and names_nothing(option.flow):
            _value(name, option, ctx)


def _value(name: str, option: Written, ctx: Context) -> Any:
    """What an option stands for: None for `none`, FAULT where it is wrong (reported)."""
    scope = option.scope or ctx.env
    words = frozenset({DEEPNORM}) if name == "scale" else frozenset[str]()
    value = evaluate(option.flow, scope, ctx.report, words)
    if value is FAULT or value is None:
        return value
    if name in FLOWS:
        if isinstance(value, Recipe):
            return value
        if isinstance(value, OpenFlow | Labelled):
            return Recipe(option.flow, scope)  # a name stays a name: what it stands for is shared
        return _wrong(name, "a flow, such as `LayerNorm`", value, option.flow, ctx)
    known = value.value if is_number(value) else None
    if name == "scale":
        if value == DEEPNORM or (known is not None and known != 0):
            return value
        return _wrong(name, f"a number other than 0, or `{DEEPNORM}`", value, option.flow, ctx)
    if known is None:
        return _wrong(name, "a number", value, option.flow, ctx)
    if name in ("drop", "drop_path") and not 0 <= known < 1:
        return _wrong(name, "a number of at least 0 and below 1", value, option.flow, ctx)
    return value


def _all_named(stage: tree.Stage, ctx: Context) -> bool:
    nameless = [arg for arg in stage.args or () if not isinstance(arg, tree.Keyword)]
    # Without a body, what stands in parentheses is meant to be it, and that there is none is told.
    for arg in nameless if stage.body is not None else ():
        ctx.report.error(
            "option-by-position",
            "residual takes its options by name",
            arg.span,
            "which one is this?",
            help=f"write `residual(pre = {arg.span.text})` or `residual(post = {arg.span.text})`",
            fixes=(Fix(arg.span, f"pre = {arg.span.text}"), Fix(arg.span, f"post = {arg.span.text}")),
        )
    return not nameless


def _wrong(name: str, takes: str, value: object, flow: tree.Flow, ctx: Context) -> Any:
    span, label, labels = blamed(value, flow, ctx.env)
    ctx.report.error("wrong-value", f"`{name}` of residual takes {takes}", span, label, labels=labels)
    return FAULT


def _is_identity(recipe: Recipe) -> bool:
    return isinstance(recipe.flow, tree.Stage) and str(recipe.flow.path) == "identity"


def _needs_no_level(recipe: Recipe, x: Value, ctx: Context) -> bool:
    """Whether a flow makes one module at most, without a label of its own: it is tried where nobody sees it."""
    if any(isinstance(node, tree.Label) for node in tree.walk(recipe.flow)):
        return False
    draft = UnitDraft("group", "", recipe.flow.span, ctx.unit, frozenset())
    env = Env(env_of(recipe), ctx.env.file)
    env.inside_library = env_of(recipe).inside_library
    trial = ctx.within(unit=draft, env=env, nodes=[], hint=None, opened=None, inside=None, report=Unheard())
    flows.run(recipe.flow, x, trial)
    return len(draft.modules) <= 1


def _label_of(body: tree.Body) -> str | None:
    """The label of a body that is one labelled line: what the residual's own modules are called after."""
    if len(body.lines) == 1 and isinstance(body.lines[0], tree.Label):
        return body.lines[0].name.text
    return None


def _deepnorm(ctx: Context) -> tuple[Number, Number]:
    """The scale of the skip and the factor of the branch's initial weights for N layers around (Wang et al. 2022).

    (2 N)^(1/4) and (8 N)^(-1/4): those of an encoder or a decoder alone.
    """
    depth = ctx.depth
    assert depth is not None  # told where the options are read
    quarter = Literal("0.25", number(0.25).value)  # type: ignore[arg-type]  a known number has a value
    scale = operation("^", Operation("*", (number(2), depth)), quarter)
    return scale, operation("^", Operation("*", (number(8), depth)), operation("neg", quarter))
