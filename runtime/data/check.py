"""Does the data fit the model? Every mismatch at once, before anything is trained."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..dims import Dim, broken_bound, evaluate, is_symbol, solved, symbols_of
from ..settings import Port, Settings
from .dataset import Data, Field


@dataclass(frozen=True)
class Message:
    severity: Literal["error", "warning"]
    text: str
    help: str = ""


def check_data(settings: Settings, data: Data) -> list[Message]:
    """What does not fit between the settings of an artefact and its data; errors stop a run, warnings do not."""
    return [*_inputs(settings, data), *_arguments(settings, data), *_classes(settings, data), *_alike(settings, data)]


def _inputs(settings: Settings, data: Data) -> list[Message]:
    found: list[Message] = []
    bindings = _sizes(settings, data)
    for port in settings.inputs:
        name = settings.bind.get(port.name)
        if name is None:
            text = f"nothing in the data is bound to the input {port.name} of the model"
            found.append(Message("error", text, f"the data has the fields {_listed(data)}"))
        elif name not in data.fields:
            found.append(_no_field(name, data, f"the input {port.name} of the model"))
        else:
            found += _port(port, name, data.fields[name], bindings, settings)
    return found


def _port(port: Port, name: str, field: Field, bindings: dict[str, int], settings: Settings) -> list[Message]:
    wanted = port.dims[1:]  # the first is the batch
    facts = (
        f"the input {port.name} is {port.dtype}{_dims(wanted)}, the field {name} is {field.dtype}{_dims(field.dims)}"
    )
    if (port.dtype, field.dtype) == ("float", "int") and (settings.data["source"] != "table" or field.names):
        help = f"store {name} as float32; pictures of bytes divided by 255"
        return [Message("error", facts, "its words are classes: take them as int" if field.names else help)]
    if port.dtype != field.dtype and (port.dtype, field.dtype) != ("float", "int"):
        return [Message("error", facts)]
    if len(wanted) != len(field.dims):
        return [Message("error", f"{facts}: {len(wanted)} dims against {len(field.dims)}")]
    problems = [_bind(dim, size, bindings, settings) for dim, size in zip(wanted, field.dims, strict=True)]
    return [Message("error", f"{facts}: {problem}") for problem in problems if problem]


def _sizes(settings: Settings, data: Data) -> dict[str, int]:
    """Every symbol that stands alone somewhere, and the first size that it meets there."""
    sizes: dict[str, int] = {}
    for port in settings.inputs:
        field = data.fields.get(settings.bind.get(port.name, ""))
        for dim, size in zip(port.dims[1:], field.dims if field else (), strict=False):
            if isinstance(dim, str) and is_symbol(dim):
                sizes.setdefault(dim, size)
    return sizes


def _bind(dim: Dim, size: int, bindings: dict[str, int], settings: Settings) -> str | None:
    """What is wrong with a `dim` of this size; notes the size of a symbol that had none."""
    unbound = [symbol for symbol in symbols_of(dim) if symbol not in bindings]
    if len(unbound) > 1:
        return None  # one number says nothing of two unknowns
    if unbound:
        (symbol,) = unbound
        bound = solved(dim, size, symbol, bindings)
        if bound is None:
            return f"no {symbol} makes {dim} equal to {size:,}"
        bindings[symbol] = bound
    expected = evaluate(dim, bindings)
    if expected != size:
        return f"{dim} is {expected:,}, and here {size:,}" if isinstance(dim, str) else f"{expected:,} against {size:,}"
    for symbol in symbols_of(dim):
        broken = broken_bound(symbol, bindings[symbol], settings.limits, settings.least)
        if broken:
            return f"{broken}, and here {bindings[symbol]:,}"
    return None


def _arguments(settings: Settings, data: Data) -> list[Message]:
    found: list[Message] = []
    losses = [(name.replace("_", " "), loss) for name, loss in settings.losses.items()]
    measures = (*losses, ("metrics", settings.metrics), ("metrics", settings.set_metrics))
    for what, measure in measures:
        for source in (measure.arguments if measure else {}).values():
            owner, _, name = source.partition(".")
            if owner == "data" and name not in data.fields:
                found.append(_no_field(name, data, f"the {what}"))
    return found


def _classes(settings: Settings, data: Data) -> list[Message]:
    """The head has to be as wide as the field has classes; a vocabulary may be rounded up, not down."""
    head = settings.loss.classes
    field = data.fields.get(head.field) if head else None
    if head is None or field is None:
        return []
    facts = f"the output {head.output} is {head.width:,} wide"
    if field.dtype != "int":
        return [Message("error", f"classes are ints, and the field {head.field} is {field.dtype}")]
    if field.classes is None:
        text = f"the field {head.field} has negative numbers: no classes counted from 0"
        return [Message("error", text, "only -100, which does not count, may be negative")]
    if settings.data["source"] in ("pairs", "text", "tokens"):
        return _vocabulary(facts, head.width, field.classes, data)
    classes = field.classes
    if settings.loss.ignore == classes - 1 and field.but_last is not None:
        classes = field.but_last
    if classes < 2:
        return [Message("error", f"the field {head.field} has one class only: there is nothing to tell apart")]
    if head.width != classes:
        text = f"{facts}, and the field {head.field} has {classes:,} classes (0 to {classes - 1:,})"
        return [Message("error", text, f"make the last layer {classes:,} wide")]
    return []


def _alike(settings: Settings, data: Data) -> list[Message]:
    """An output and a target that are compared entry by entry have one shape, but for axes of 1."""
    found: list[Message] = []
    sizes = _sizes(settings, data)
    outputs = {port.name: port.dims[1:] for port in settings.outputs}
    for output, name in (pair for loss in settings.losses.values() for pair in loss.alike):
        field = data.fields.get(name)
        if field is None or any(symbol not in sizes for dim in outputs[output] for symbol in symbols_of(dim)):
            continue
        mine = [evaluate(dim, sizes) for dim in outputs[output]]
        if [n for n in mine if n != 1] != [n for n in field.dims if n != 1]:
            text = f"the output {output} is {_dims(mine)} for an example, and the field {name} is {_dims(field.dims)}"
            found.append(Message("error", text, "the loss compares them entry by entry: give them the same shape"))
    return found


def _vocabulary(facts: str, width: int, count: int, data: Data) -> list[Message]:
    if data.tokenizer is None:
        if width >= count:
            return []
        text = f"{facts}, and the largest token of the data is {count - 1:,}"
        return [Message("error", text, f"set the vocabulary of the model to {count:,} or more")]
    text = f"{facts}, and the tokenizer has {count:,} tokens"
    if width < count:
        return [Message("error", text, f"set the vocabulary of the model to {count:,}")]
    if width > count:
        return [Message("warning", text, f"{width - count:,} entries of the output will never be asked for")]
    return []


def _no_field(name: str, data: Data, user: str) -> Message:
    near = difflib.get_close_matches(name, data.fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {_listed(data)}"
    return Message("error", f"the data has no field {name}, which {user} needs", hint)


def _listed(data: Data) -> str:
    return ", ".join(data.fields)


def _dims(dims: Sequence[Dim]) -> str:
    return f"[{', '.join(map(str, dims))}]"
