"""Signatures: the dims of inputs get names, and what flows out is held against what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..ir.graph import Value
from ..semantics.arithmetic import NumberError, spell
from ..semantics.bounds import at_bounds, least, limit
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.nearest import nearest
from ..semantics.number import Number, Operation, Reference, divides, equal, opened, operation, whole, written
from ..semantics.report import Report
from ..semantics.tensor import UNKNOWN, DType, Tensor, Type
from .arguments import show_value
from .bounds import Bounds, Comparison, Side, bound_of, capital, capitals, check_open, comparisons
from .context import Context
from .env import Env

DTYPES: tuple[DType, ...] = ("float", "int", "bool")


def dtype_of(shape: tree.Shape, report: Report) -> DType | None:
    if shape.dtype is None:
        return "float"
    if shape.dtype.text in DTYPES:
        return shape.dtype.text  # type: ignore[return-value]
    spellings = {"int64": "int", "long": "int", "float32": "float"}
    report.unknown("type", shape.dtype.text, shape.dtype.span, DTYPES, spellings, imported=False)
    return None


# --- a model: dims stay open -----------------------------------------------------------------------------------


def open_type(shape: tree.Shape, env: Env, bounds: Mapping[str, Bounds], report: Report) -> Type:
    """The type of a model's input: Capital names that nothing has bound are dims that stay open until run time."""
    dtype = dtype_of(shape, report)
    dims = [_open_dim(dim, env, bounds, report) for dim in shape.dims]
    if dtype is None or any(dim is None for dim in dims):
        return UNKNOWN
    return Tensor(dtype, tuple(dim for dim in dims if dim is not None), _axis_names(shape))


def _axis_names(shape: tree.Shape) -> tuple[str | None, ...]:
    """An axis is called after the Capital name in its dim: H in `16 * H`."""
    return tuple(next((name for name, _ in capitals(dim)), None) for dim in shape.dims)


def _open_dim(dim: tree.Flow, env: Env, bounds: Mapping[str, Bounds], report: Report) -> Number | None:
    bounded = comparisons(dim)
    if bounded and not check_open(dim, env, report):
        _unbound((dim,), env)
        return None
    dim = bounded[0].dim if bounded else dim
    for name, place in capitals(dim):
        if env.lookup(name) is None:
            _bind_open(name, place, env, bounds.get(name))
    misspelt = _lowercase(dim)
    if misspelt is not None and env.lookup(misspelt) is None:
        report.error(
            "unknown-name",
            f"there is no constant `{misspelt}`",
            dim.span,
            "not known here",
            help=_constant_help(misspelt, env),
        )
        return None
    value = evaluate(dim, env, report)
    if value is FAULT:
        return None
    size = check_dim(value, dim, report)
    return size if size is not None and _has_room(size, dim, report) else None


def _lowercase(flow: tree.Flow) -> str | None:
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if not name[0].isupper():
            return name
    return None


def _constant_help(name: str, env: Env) -> str:
    meant = nearest(name, env.file.names())
    other = f"`{name[0].upper()}` for a dim that stays open until run time"
    return f"write `{meant}`, or a Capital name such as {other}" if meant else f"write a number, or {other}"


def _bind_open(name: str, place: tree.Node, env: Env, bounds: Bounds | None) -> Number:
    found = env.lookup(name)
    if isinstance(found, Reference):
        return found
    low, high = (bounds.least, bounds.most) if bounds is not None else (None, None)
    reference = Reference(name, "open", None, None, low and low.value, high and high.value)
    env.give(name, reference, place.span)
    return reference


def check_dim(value: object, dim: tree.Flow, report: Report) -> Number | None:
    """A dim is a whole number of at least 1, or open."""
    if is_number(value):
        known = value.value
        if known is None or (known == int(known) and known >= 1):
            return value
        what = f"this is {spell(known)}"
    elif isinstance(value, Value):
        # A port hides the constant of its name.
        message = f"`{dim.span.text}` is a value here, and a dim is a number"
        help = "give the input or output, or the constant, another name"
        report.error("bad-dim", message, dim.span, "flows", help=help)
        return None
    else:
        what = f"this is {show_value(value)}"
    help = "write a number of at least 1" if isinstance(dim, tree.Number) else ""
    report.error("bad-dim", "a dim is a whole number of at least 1", dim.span, what, help=help)
    return None


def _has_room(open_: Number, dim: tree.Flow, report: Report) -> bool:
    """Whether an open dim is 1 or more where its names are as small, and as large, as they may be (else reported)."""
    for side in ("least", "most"):
        size = at_bounds(open_, side)
        if size is not None and size < 1:
            bounds = _bounds_in(open_, side)
            listed = ", ".join(f"`{name}` is {whole(n)}" for name, n in bounds.items())
            found = f"may be {spell(size)}" if dim.span.text in bounds else f"is {spell(size)} where {listed}"
            message = f"a dim is 1 at least, and `{dim.span.text}` {found}"
            help = "write a larger least value" if side == "least" else "write a larger limit"
            report.error("bad-dim", message, dim.span, f"may be {spell(size)}", help=help)
            return False
    return True


def _bounds_in(open_: Number, side: Side) -> dict[str, Number]:
    """The bounds of the open names in a number."""
    found = ((r.name, r.least if side == "least" else r.most) for r in opened(open_))
    return {name: bound for name, bound in found if bound is not None}


# --- a block: dims are whatever comes in -----------------------------------------------------------------------


def bind_type(port: tree.Port, actual: Type, env: Env, owner: object, what: str, call: Span, report: Report) -> Type:
    """Hold what comes in against a block's port, and bind the port's Capital names to its dims.

    `call` is where the block is used. A known dim becomes a reference under the port's name, so that the emitted class
    may take it as an argument.
    """
    dtype = dtype_of(port.shape, report)
    dims = port.shape.dims
    if dtype is None or not isinstance(actual, Tensor) or len(dims) != actual.rank or dtype != actual.dtype:
        if dtype is not None and isinstance(actual, Tensor):
            promised = port.shape.span.text
            message = f"{what} takes {promised}, and {actual} comes in"
            report.error("shape-mismatch", message, call, f"{actual} comes in", labels=((port.span, "promised here"),))
        _unbound(dims, env)
        return UNKNOWN
    found = [_bind_dim(dim, here, env, owner, what, call, report) for dim, here in zip(dims, actual.dims, strict=True)]
    if None in found:
        _unbound(dims, env)
        return UNKNOWN
    return Tensor(dtype, tuple(d for d in found if d is not None), _axis_names(port.shape))


def _unbound(dims: Sequence[tree.Flow], env: Env) -> None:
    """What a port that does not fit would have named is known to be unknown, so that nothing is reported twice."""
    for name, place in (found for dim in dims for found in capitals(dim)):
        if env.lookup(name) is None:
            env.give(name, FAULT, place.span)


def _bind_dim(
    dim: tree.Flow, actual: Number, env: Env, owner: object, what: str, call: Span, report: Report
) -> Number | None:
    bounded = comparisons(dim)
    if bounded:
        size = bounded[0].dim
        multiple = None if capital(size) else _bind_dim(size, actual, env, owner, what, call, report)
        held = actual if capital(size) or multiple is not None else None
        for comparison in bounded:
            held = None if held is None else _check_bound(comparison, held, env, what, call, report)
        if held is None or multiple is not None:
            return multiple
        return _bind_dim(size, held, env, owner, what, call, report)
    name = capital(dim)
    if name is not None and env.lookup(name) is None:
        reference = actual if actual.value is None else Reference(name, "dim", owner, actual)
        env.give(name, reference, dim.span)
        return reference
    unbound = [(n, place) for n, place in capitals(dim) if env.lookup(n) is None]
    if unbound:
        return _solve(dim, unbound, actual, env, owner, what, call, report)
    value = evaluate(dim, env, report)
    if value is FAULT:
        return None
    size = check_dim(value, dim, report)
    if size is not None and not equal(size, actual):
        _promised(f"{what} takes {written(size)} here, and {written(actual)} comes in", actual, dim, call, report)
        return None
    return size


def _check_bound(
    comparison: Comparison, actual: Number, env: Env, what: str, call: Span, report: Report
) -> Number | None:
    """What comes in where a block bounds a dim; None where the bound is none, or a known size is beyond it. An open
    dim that may go beyond it is reported, and keeps to the bound inside the block."""
    bound = bound_of(comparison, env, report)
    if bound is None:
        return None
    assert bound.value is not None
    size = limit(actual) if comparison.side == "most" else least(actual)
    if size is not None and (size <= bound.value if comparison.side == "most" else size >= bound.value):
        return actual
    goes = "comes in" if actual.value is not None else "may be any length" if size is None else f"may be {spell(size)}"
    message, help = f"{what} takes `{comparison.whole.span.text}`, and {written(actual)} {goes}", ""
    if isinstance(actual, Reference) and actual.kind == "open":
        sign = "<=" if comparison.side == "most" else ">="
        help = f"write `{actual.name} {sign} {spell(bound.value)}` in the input of the model"
    _promised(message, actual, comparison.whole, call, report, help)
    if not isinstance(actual, Reference) or actual.kind != "open":
        return None
    return replace(actual, most=bound) if comparison.side == "most" else replace(actual, least=bound)


def _promised(message: str, actual: Number, dim: tree.Flow, call: Span, report: Report, help: str = "") -> None:
    """What comes in at a call is not what the block's signature says; both places are shown."""
    labels = ((dim.span, f"`{dim.span.text}` is promised here"),)
    report.error("shape-mismatch", message, call, f"{written(actual)} comes in", labels=labels, help=help)


def _solve(
    dim: tree.Flow,
    unbound: list[tuple[str, tree.Node]],
    actual: Number,
    env: Env,
    owner: object,
    what: str,
    call: Span,
    report: Report,
) -> Number | None:
    """`16 * H`: what comes in must be a multiple of 16, and H is that many times less."""
    name, place = unbound[0]
    factor = None
    if isinstance(dim, tree.Binary) and dim.operator == "*" and len(unbound) == 1:
        other = dim.left if capital(dim.right) == name else dim.right if capital(dim.left) == name else None
        factor = evaluate(other, env, report) if other is not None else None
    if not is_number(factor) or not factor.value:
        report.error("bad-dim", f"`{dim.span.text}` cannot be solved for {name}", dim.span, "write `16 * H`")
        return None
    if not divides(factor, actual):
        message = f"{what} takes a multiple of {written(factor)} here, and {written(actual)} comes in"
        _promised(message, actual, dim, call, report)
        return None
    try:
        part = operation("/", actual, factor)
    except NumberError:
        return None
    reference = part if part.value is None else Reference(name, "dim", owner, part)
    env.give(name, reference, place.span)
    return Operation("*", (factor, reference))


def wrap_unsigned(actual: Type, owner: object) -> Type:
    """The input of a block without a signature: its known dims are references that remember the caller's words."""
    if not isinstance(actual, Tensor):
        return actual
    channel = 1 if actual.rank in (4, 5) else actual.rank - 1

    def wrapped(axis: int, dim: Number) -> Number:
        if dim.value is None:
            return dim
        return Reference("in_features" if axis == channel else f"size_{axis}", "dim", owner, dim)

    return replace(actual, dims=tuple(wrapped(axis, dim) for axis, dim in enumerate(actual.dims)))


# --- outputs ---------------------------------------------------------------------------------------------------


def check_promised_dims(ports: tuple[tree.Port, ...], env: Env, report: Report) -> None:
    """Each Capital dim of an output is one of an input. One that is not is reported, and known as a fault from here."""
    for name, place in (found for port in ports for dim in port.shape.dims for found in capitals(dim)):
        if env.lookup(name) is None:
            report.error(
                "unbound-dim",
                f"no input has a dim `{name}`",
                place.span,
                "a dim of an output comes from an input, or is a number or constant",
            )
            env.give(name, FAULT, place.span)


def check_outputs(ports: tuple[tree.Port, ...], outputs: tuple[Value, ...], ctx: Context) -> None:
    """Each output is what its port promises; a fault is reported at the port."""
    for port, value in zip(ports, outputs, strict=True):
        promised = promised_type(port.shape, ctx.env, ctx.report)
        if not isinstance(promised, Tensor) or not isinstance(value.type, Tensor):
            continue
        alike = promised.rank == value.type.rank and promised.dtype == value.type.dtype
        pairs = tuple(zip(promised.dims, value.type.dims, strict=False))
        unlike = [axis for axis, (want, have) in enumerate(pairs) if not equal(want, have)]
        if alike and not unlike:
            continue
        what = f"`{port.name.text}`" if port.name else "what flows out"
        said, made = _in_own_words(promised, ctx.env), _in_own_words(value.type, ctx.env)
        place, label = port.shape.span, f"{said} is promised"
        if alike:
            places = [port.shape.dims[axis].span for axis in unlike]
            wanted, found = ([type_.dims[axis] for axis in unlike] for type_ in (said, made))
            be, flow = ("is", "flows") if len(unlike) == 1 else ("are", "flow")
            place, label = places[0].to(places[-1]), f"{_joined(wanted)} {be} promised, {_joined(found)} {flow} out"
        message = f"{what} is promised as {said}, and {made} flows out"
        ctx.report.error("shape-mismatch", message, place, label, labels=_makers(value, made, ctx))


def _in_own_words(type_: Tensor, env: Env) -> Tensor:
    """The type with the open dims called as the inputs of this signature call them, not as the caller does."""
    own = {id(given.what): name for name, given in env.bound.items() if isinstance(given.what, Reference)}

    def renamed(dim: Number) -> Number:
        match dim:
            case Reference(target=None) if id(dim) in own:
                return replace(dim, name=own[id(dim)])
            case Operation(operator, operands):
                return Operation(operator, tuple(map(renamed, operands)))
        return dim

    return replace(type_, dims=tuple(map(renamed, type_.dims)))


def as_promised(ports: tuple[tree.Port, ...], outputs: tuple[Value, ...], ctx: Context) -> tuple[Value, ...]:
    """The outputs as callers have them: of what a block does not keep of its promise, which is told there, callers
    know neither that nor the other."""
    kept: list[Value] = []
    for port, value in zip(ports, outputs, strict=True):
        promised = promised_type(port.shape, ctx.env, ctx.report)
        kept.append(value if _fits(promised, value.type) else ctx.unknown())
    return tuple(kept)


def _fits(promised: Type, found: Type) -> bool:
    if not isinstance(promised, Tensor) or not isinstance(found, Tensor):
        return True
    alike = promised.rank == found.rank and promised.dtype == found.dtype
    return alike and all(map(equal, promised.dims, found.dims))


def _joined(dims: Sequence[Number]) -> str:
    *most, last = map(written, dims)
    return f"{', '.join(most)} and {last}" if most else last


def _makers(value: Value, made: Tensor, ctx: Context) -> tuple[tuple[Span, str], ...]:
    """Where a value is made, for a message about what it is."""
    return tuple((node.span, f"this makes {made}") for node in ctx.nodes if value in node.outputs)


def promised_type(shape: tree.Shape, env: Env, report: Report) -> Type:
    dtype = dtype_of(shape, report)
    dims = [_promised_dim(dim, env, report) for dim in shape.dims]
    if dtype is None or any(dim is None for dim in dims):
        return UNKNOWN
    return Tensor(dtype, tuple(dim for dim in dims if dim is not None))


def _promised_dim(dim: tree.Flow, env: Env, report: Report) -> Number | None:
    if isinstance(dim, tree.Between) or comparisons(dim):
        _bound_of_output(dim, report)
        return None
    value = evaluate(dim, env, report)
    return None if value is FAULT else check_dim(value, dim, report)


def _bound_of_output(dim: tree.Flow, report: Report) -> None:
    bounded = comparisons(dim)[0].dim.span.text
    message = f"an output is as large as what comes in makes it, and `{dim.span.text}` bounds it"
    help = f"write `{bounded}`: a bound stands in the input"
    report.error("bad-limit", message, dim.span, "a bound", help=help, fixes=(Fix(dim.span, bounded),))
