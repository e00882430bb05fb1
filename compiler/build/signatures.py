"""Signatures: the dims of inputs get names, and what flows out is held against what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...grammar import tree
from ...grammar.source import Span
from ..ir.graph import Value
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.nearest import nearest
from ..semantics.number import (
    Number,
    NumberError,
    Operation,
    Reference,
    divides,
    equal,
    limit,
    number,
    operation,
    real,
    spell,
    written,
)
from ..semantics.report import Report, Unheard
from ..semantics.tensor import UNKNOWN, DType, Tensor, Type
from .arguments import show_value
from .context import Context
from .env import Env

DTYPES: tuple[DType, ...] = ("float", "int", "bool")


def dtype_of(shape: tree.Shape, report: Report) -> DType | None:
    if shape.dtype is None:
        return "float"
    if shape.dtype.text in DTYPES:
        return shape.dtype.text  # type: ignore[return-value]
    report.unknown(
        "type", shape.dtype.text, shape.dtype.span, DTYPES, {"int64": "int", "long": "int", "float32": "float"}
    )
    return None


# --- a model: dims stay open -----------------------------------------------------------------------------------


def open_limits(ports: tuple[tree.Port, ...], env: Env) -> dict[str, Number]:
    """The largest value of each open dim, of all that the inputs say (`T <= context`): the smallest counts."""
    found: dict[str, Number] = {}
    for dim in (dim for port in ports for dim in port.shape.dims):
        if isinstance(dim, tree.Binary) and dim.operator in ("<=", "<") and (name := _capital(dim.left)):
            most = evaluate(dim.right, env, Unheard())
            if not is_number(most) or most.value is None:
                continue
            most = operation("-", most, number(1)) if dim.operator == "<" else most
            found[name] = min((found.get(name, most), most), key=real)
    return found


def open_type(shape: tree.Shape, env: Env, limits: Mapping[str, Number], report: Report) -> Type:
    """The type of a model's input: Capital names that nothing has bound are dims that stay open until run time."""
    dtype = dtype_of(shape, report)
    dims = [_open_dim(dim, env, limits, report) for dim in shape.dims]
    if dtype is None or any(dim is None for dim in dims):
        return UNKNOWN
    return Tensor(dtype, tuple(dim for dim in dims if dim is not None), _axis_names(shape))


def _axis_names(shape: tree.Shape) -> tuple[str | None, ...]:
    """An axis is called after the Capital name in its dim: H in `16 * H`."""
    return tuple(next((name for name, _ in _capitals(dim)), None) for dim in shape.dims)


def _open_dim(dim: tree.Flow, env: Env, limits: Mapping[str, Number], report: Report) -> Number | None:
    if isinstance(dim, tree.Binary) and dim.operator in ("<=", "<", ">=", ">", "==", "!="):
        name = _capital(dim.left)
        most = evaluate(dim.right, env, report) if name is not None else None
        if name is None or dim.operator not in ("<=", "<") or not is_number(most) or most.value is None:
            if most is not FAULT:
                report.error(
                    "bad-limit",
                    "an input's dim may have a largest value, and this is none",
                    dim.span,
                    "not of the form `T <= number`",
                    help="write `T <= 1024`",
                )
            if name is not None and env.lookup(name) is None:
                env.give(name, FAULT, dim.left.span)
            return None
        return _bind_open(name, dim.left, env, limits.get(name))
    for name, place in _capitals(dim):
        if env.lookup(name) is None:
            _bind_open(name, place, env, limits.get(name))
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
    return check_dim(value, dim, report)


def _lowercase(flow: tree.Flow) -> str | None:
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if not name[0].isupper():
            return name
    return None


def _constant_help(name: str, env: Env) -> str:
    meant = nearest(name, env.file.names())
    other = f"`{name[0].upper()}` for a dim that stays open until run time"
    return f"write `{meant}`, or a Capital name such as {other}" if meant else f"write a number, or {other}"


def _bind_open(name: str, place: tree.Node, env: Env, most: Number | None) -> Number:
    found = env.lookup(name)
    if isinstance(found, Reference):
        return found
    reference = Reference(name, "open", None, None, most)
    env.give(name, reference, place.span)
    return reference


def check_dim(value: object, dim: tree.Flow, report: Report) -> Number | None:
    """A dim is a whole number of at least 1, or open."""
    if is_number(value):
        known = value.value  # type: ignore[attr-defined]
        if known is None or (known == int(known) and known >= 1):
            return value  # type: ignore[return-value]
        what = f"this is {spell(known)}"
    elif isinstance(value, Value):
        # A port hides the constant of its name.
        message = f"`{dim.span.text}` is a value here, and a dim is a number"
        help = "give the input or output, or the constant, another name"
        report.error("bad-dim", message, dim.span, "flows", help=help)
        return None
    else:
        what = f"this is {show_value(value)}"
    report.error("bad-dim", "a dim is a whole number of at least 1", dim.span, what)
    return None


def _capital(flow: tree.Flow) -> str | None:
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None) if name[0].isupper():
            return name
    return None


def _capitals(flow: tree.Node) -> list[tuple[str, tree.Node]]:
    name = _capital(flow)  # type: ignore[arg-type]
    if name is not None:
        return [(name, flow)]
    match flow:
        case tree.Binary(left=left, right=right):
            return _capitals(left) + _capitals(right)
        case tree.Negate(operand=operand):
            return _capitals(operand)
        case tree.Stage(args=args) if args:
            return [found for arg in args for found in _capitals(arg)]
        case tree.Keyword(value=value):
            return _capitals(value)
    return []


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
    for name, place in (found for dim in dims for found in _capitals(dim)):
        if env.lookup(name) is None:
            env.give(name, FAULT, place.span)


def _bind_dim(
    dim: tree.Flow, actual: Number, env: Env, owner: object, what: str, call: Span, report: Report
) -> Number | None:
    if isinstance(dim, tree.Binary) and dim.operator in ("<=", "<"):
        bound = _bind_dim(dim.left, actual, env, owner, what, call, report)
        most = evaluate(dim.right, env, report)
        if bound is None or most is FAULT:
            return None
        longest = limit(actual)
        if is_number(most) and most.value is not None:
            top = most.value - 1 if dim.operator == "<" else most.value
            if longest is None or longest > top:
                size = "may be any length" if longest is None else f"may be {spell(longest)}"
                message = f"{what} takes `{dim.span.text}`, and {written(actual)} {size}"
                _promised(message, actual, dim, call, report)
        return bound
    name = _capital(dim)
    if name is not None and env.lookup(name) is None:
        reference = actual if actual.value is None else Reference(name, "dim", owner, actual)
        env.give(name, reference, dim.span)
        return reference
    unbound = [(n, place) for n, place in _capitals(dim) if env.lookup(n) is None]
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


def _promised(message: str, actual: Number, dim: tree.Flow, call: Span, report: Report) -> None:
    """What comes in at a call is not what the block's signature says; both places are shown."""
    labels = ((dim.span, f"`{dim.span.text}` is promised here"),)
    report.error("shape-mismatch", message, call, f"{written(actual)} comes in", labels=labels)


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
        other = dim.left if _capital(dim.right) == name else dim.right if _capital(dim.left) == name else None
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
    for name, place in (found for port in ports for dim in port.shape.dims for found in _capitals(dim)):
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
        what = f"`{port.name.text}`" if port.name else "what flows out"
        if promised.rank != value.type.rank or promised.dtype != value.type.dtype:
            ctx.report.error(
                "shape-mismatch",
                f"{what} is promised as {promised}, and {value.type} flows out",
                port.shape.span,
                f"{promised} is promised",
                labels=_maker(value, ctx),
            )
            continue
        dims = zip(port.shape.dims, promised.dims, value.type.dims, strict=True)
        unlike = [(dim.span, want, have) for dim, want, have in dims if not equal(want, have)]
        if unlike:
            places, wanted, found = zip(*unlike, strict=True)
            be, flow = ("is", "flows") if len(unlike) == 1 else ("are", "flow")
            ctx.report.error(
                "shape-mismatch",
                f"{what} is promised as {promised}, and {value.type} flows out",
                places[0].to(places[-1]),
                f"{_joined(wanted)} {be} promised, {_joined(found)} {flow} out",
                labels=_maker(value, ctx),
            )


def _joined(dims: Sequence[Number]) -> str:
    *most, last = map(written, dims)
    return f"{', '.join(most)} and {last}" if most else last


def _maker(value: Value, ctx: Context) -> tuple[tuple[Span, str], ...]:
    """Where a value is made, for a message about what it is."""
    return tuple((node.span, f"this makes {value.type}") for node in ctx.nodes if value in node.outputs)


def promised_type(shape: tree.Shape, env: Env, report: Report) -> Type:
    dtype = dtype_of(shape, report)
    dims: list[Number] = []
    for dim in shape.dims:
        value = evaluate(dim, env, report)
        if value is FAULT:
            return UNKNOWN
        checked = check_dim(value, dim, report)
        if checked is None:
            return UNKNOWN
        dims.append(checked)
    return UNKNOWN if dtype is None else Tensor(dtype, tuple(dims))
