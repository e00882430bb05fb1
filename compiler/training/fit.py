"""Does the data fit the model? Fields are bound to inputs by name, and open dims to what the data has there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from fractions import Fraction

from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.nearest import nearest
from ..semantics.number import (
    Number,
    Operation,
    Reference,
    equal,
    number,
    opened,
    polynomial,
    valued,
    written,
)
from ..semantics.report import Report
from ..semantics.tensor import UNKNOWN, Tensor, Type
from .augmentation import Augmentation
from .calls import Chosen
from .dataset import Data
from .ports import Ports
from .source import Field

Dims = dict[tuple[str, object], Number]


class Fit(Frozen):
    """`bind` maps inputs to fields of the data; `dims` open dims of the model to what the data has there.

    `whole` says that all inputs fit: else the dims of the data say nothing about those of the model.
    """

    bind: Mapping[str, str]
    batch: Number
    dims: Dims = field(default_factory=dict)
    whole: bool = True

    def seen(self, known: Type) -> Type:
        """A type of the model with the data in it: `[B, T, vocab]` still, and T known."""
        if not isinstance(known, Tensor):
            return known
        return Tensor(known.dtype, tuple(_seen(dim, self.dims) for dim in known.dims))

    def of_field(self, known: Field) -> Type:
        """The type of a field, a batch of it."""
        if not self.whole or known.dims is None or any(dim.value is None for dim in known.dims):
            return UNKNOWN
        return Tensor(known.dtype, (_seen(self.batch, self.dims), *known.dims))


def fit_inputs(data: Data | None, ports: Ports, report: Report) -> Fit:
    """Binds every input to the field of its name and reports what does not fit. Without data nothing is bound."""
    first = next((t for t in ports.inputs.values() if isinstance(t, Tensor) and t.rank), None)
    batch = Reference("B", "open", "data") if first is None else first.dims[0]
    if data is None:
        return Fit({}, batch)
    fields = data.fields
    if fields is None:
        return Fit({name: name for name in ports.inputs}, batch)
    bind: dict[str, str] = {}
    dims: Dims = {}
    fits = True
    for name, wanted in ports.inputs.items():
        if name not in fields and name in data.perhaps:
            bind[name], fits = name, False
            continue
        if name not in fields:
            _unbound(name, wanted, fields, data, ports, report)
            fits = False
            continue
        bind[name] = name
        if data.mixing is not None and data.mixes(f"data.{name}"):
            _mixed(name, wanted, data.mixing, ports, report)
            fits = False
            continue
        if isinstance(wanted, Tensor):
            fits &= _fit(name, wanted, fields[name], data, ports, dims, report)
    return Fit(bind, batch, dims, fits)


def _unbound(name: str, wanted: Type, fields: Mapping[str, Field], data: Data, ports: Ports, report: Report) -> None:
    listed, source = ", ".join(f"`{field}`" for field in fields), data.source.options
    given = {field: known for field, known in fields.items() if field not in source.asked} or fields
    meant = nearest(name, given) or _only_likely(wanted, given, ports)
    help = f"call the input `{meant}`" if meant else f"inputs are bound by name: {', '.join(f'`{f}`' for f in given)}"
    report.error(
        "unbound-input",
        f"the input `{name}` of {ports.model} has no field of its name in the data",
        data.source.span,
        f"`{source.word}` has {listed}",
        help=source.lacking() or help,
        labels=_declared(name, wanted, ports),
    )


def _mixed(name: str, wanted: Type, mixing: Chosen[Augmentation], ports: Ports, report: Report) -> None:
    word = mixing.options.word
    message = f"`{word}` makes labels probabilities of the classes, and the input `{name}` of {ports.model} is {wanted}"
    labels = _declared(name, wanted, ports)
    report.error("conflict", message, mixing.span, "labels are mixed here", help=f"take `{word}` out", labels=labels)


def _only_likely(wanted: Type, fields: Mapping[str, Field], ports: Ports) -> str | None:
    """The one field that could be meant: of the input's type and rank, and bound to no other."""
    if not isinstance(wanted, Tensor):
        return None
    free = {name: f for name, f in fields.items() if name not in ports.inputs}
    likely = [
        n for n, f in free.items() if f.dims is not None and f.dtype == wanted.dtype and len(f.dims) == wanted.rank - 1
    ]
    return likely[0] if len(likely) == 1 else None


def _declared(name: str, wanted: Type, ports: Ports) -> tuple[tuple[Span, str], ...]:
    return ((ports.spans[name], f"the input is {wanted}"),) if name in ports.spans else ()


def _fit(
    name: str,
    wanted: Tensor,
    have: Field,
    data: Data,
    ports: Ports,
    dims: Dims,
    report: Report,
) -> bool:
    if have.dims is None:
        return True
    word = data.source.options.word
    shown = Tensor(have.dtype, (wanted.dims[0] if wanted.rank else number(1), *have.dims))
    facts = f"the input `{name}` of {ports.model} is {wanted}, and the field `{name}` of `{word}` is {shown}"
    labels = _declared(name, wanted, ports)
    if wanted.dtype != have.dtype or wanted.rank != len(have.dims) + 1:
        help = f"write `{name}: {shown}` in the model" if wanted.rank else ""
        report.error(
            "shape-mismatch", facts, data.places.get(name, data.source.span), f"{shown} here", help=help, labels=labels
        )
        return False
    for axis, (dim, size) in enumerate(zip(wanted.dims[1:], have.dims, strict=True)):
        problem = _bind(dim, size, dims)
        if problem is not None:
            message, help = problem
            report.error("shape-mismatch", facts, data.place(name, axis), message, help=help, labels=labels)
            return False
    return True


def _bind(dim: Number, size: Number, dims: Dims) -> tuple[str, str] | None:
    """Notes what an open dim is; the label and help of what does not fit. What only the data knows fits."""
    seen = _seen(dim, dims)
    if size.value is None:
        return None  # only the data knows
    if seen.value is not None:
        if equal(seen, size):
            return None
        return f"{valued(size)} here, and {valued(seen)} in the model", ""
    solved = _solve(seen, size)
    if solved is None:
        return None
    reference, value = solved
    if value.denominator != 1 or value < 1:
        return f"no {reference.name} makes {written(dim)} equal to {valued(size)}", ""
    exact = size if value == size.value else number(value)
    dims[(reference.name, reference.owner)] = exact
    name, low, high = reference.name, reference.least, reference.most
    if high is not None and high.value is not None and value > high.value:
        label = f"{valued(exact)} here, and `{name}` is at most {valued(high)}"
        return label, f"take a length of {written(high)} at most, or a larger limit of `{name}`"
    if low is not None and low.value is not None and value < low.value:
        label = f"{valued(exact)} here, and `{name}` is at least {valued(low)}"
        return label, f"take a length of {written(low)} at least, or a smaller least value of `{name}`"
    return None


def _solve(dim: Number, size: Number) -> tuple[Reference, Fraction] | None:
    """The open dim and its value where `a * H + b` has to be `size`; None where it is not of that form."""
    references = set(opened(dim))
    terms = dict(polynomial(dim))
    constant = terms.pop((), Fraction(0))
    if len(references) != 1 or len(terms) != 1:
        return None
    ((atoms, factor),) = terms.items()
    (reference,) = references
    if len(atoms) != 1 or atoms[0].name != reference.name:
        return None
    assert size.value is not None
    return reference, (Fraction(size.value) - constant) / factor


def _seen(n: Number, dims: Dims) -> Number:
    """The number with the open dims that are in `dims` known; it is written as before."""
    match n:
        case Reference(name=name, owner=owner, target=None) if (name, owner) in dims:
            return replace(n, target=dims[name, owner])
        case Reference(target=target) if target is not None and target.value is None:
            return replace(n, target=_seen(target, dims))
        case Operation(operator=operator, operands=operands) if n.value is None:
            return Operation(operator, tuple(_seen(operand, dims) for operand in operands))
    return n
