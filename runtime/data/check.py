"""Does the data fit the model? Every mismatch at once, before anything is trained."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..dims import Dim, broken_bound, evaluate, is_symbol, solved, symbols_of
from ..settings import Port, Settings, Target
from ..text import TokenizerError
from .columns import reads
from .dataset import Data, Field, Split
from .rows import Rows
from .targets import unfit_numbers


@dataclass(frozen=True)
class Message:
    severity: Literal["error", "warning"]
    text: str
    help: str = ""
    told_as: str = ""
    """The code of what a check says of the same without the data."""


def check_data(settings: Settings, data: Data) -> list[Message]:
    """What does not fit between the settings of an artefact and its data; errors stop a run, warnings do not."""
    classes = _classes(settings, data)
    return [
        *_inputs(settings, data),
        *(() if data.validation is None else check_last_batch(settings, data.validation, "validation")),
        *_arguments(settings, data),
        *classes,
        *(() if any(one.severity == "error" for one in classes) else _tables(settings, data)),
        *_alike(settings, data),
        *_targets(settings, data),
        *(Message("error", text, help) for text, help in unfit_numbers(settings, data)),
        *_prompt(settings, data),
    ]


def check_last_batch(settings: Settings, split: Split, use: str) -> list[Message]:
    """A model that takes exactly so many examples at once gets no fewer in the last batch of a split that is measured
    whole; `use` is what that is for. Training leaves such a batch out."""
    port = next((port for port in settings.inputs if port.dims), None)
    rows = port.dims[0] if port is not None else None
    left = len(split) % rows if isinstance(rows, int) else 0
    if port is None or not left:
        return []
    text = (
        f"the model takes exactly {rows:,} examples at once, and the last batch of the {len(split):,} for {use} has "
        f"{left:,}"
    )
    dims = _dims(["B", *port.dims[1:]])
    help = f"write `B` in place of {rows:,}: `{port.name}: {'' if port.dtype == 'float' else port.dtype}{dims}`"
    return [Message("error", text, f"{help}, and in what comes out")]


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
            found += _port(port, name, data.fields[name], bindings, settings) or _rows(port, name, data)
    return found


def _rows(port: Port, name: str, data: Data) -> list[Message]:
    """Numbers that pick no row of the model's table, where all of the data lies in memory."""
    for split in (data.train, data.validation):
        numbers = split.column(name) if isinstance(split, Rows) and port.rows is not None else None
        if numbers is None or not len(numbers) or numbers.dtype.is_floating_point:
            continue
        least, most = int(numbers.min()), int(numbers.max())
        if least < 0 or most >= port.rows:  # type: ignore[operator]
            help = f"number them from 0; `Embedding({most + 1}, ...)` has a row for {most:,}"
            facts = f"the input {port.name} picks from a table of {port.rows:,} rows, 0 to {port.rows - 1:,}"  # type: ignore[operator]
            held = f"the field {name} holds {least if least < 0 else most:,}"
            return [Message("error", f"{facts}, and {held}", help)]
    return []


def _tables(settings: Settings, data: Data) -> list[Message]:
    """Tables of the model that have no row for some token of the data. A head too narrow for them is told first."""
    found: list[Message] = []
    for port in settings.inputs if settings.data["source"] in ("pairs", "text", "tokens") else ():
        field = data.fields.get(settings.bind.get(port.name, ""))
        if field is None or port.rows is None or field.classes is None or field.classes <= port.rows:
            continue
        tokens = f"the largest token of the data is {field.classes - 1:,}"
        held = tokens if data.tokenizer is None else f"the tokenizer has {field.classes:,} tokens"
        text = f"the input {port.name} picks from a table of {port.rows:,} rows, and {held}"
        found.append(Message("error", text, f"write `Embedding({field.classes}, ...)`, or more rows"))
    return found


def _of_words(names: Sequence[str]) -> str:
    """What to do with a column of words where numbers are wanted."""
    words = [name for name in names if not reads(name)]
    if 2 * len(words) > len(names):
        return "its words are classes: take them as int"
    shown = ", ".join(f"`{word}`" for word in words[:3]) + (", ..." if len(words) > 3 else "")
    return f"its other cells are numbers, and {shown} {'is' if len(words) == 1 else 'are'} none: write one in its place"


def _port(port: Port, name: str, field: Field, bindings: dict[str, int], settings: Settings) -> list[Message]:
    wanted = port.dims[1:]  # the first is the batch
    facts = (
        f"the input {port.name} is {port.dtype}{_dims(wanted)}, the field {name} is {field.dtype}{_dims(field.dims)}"
    )
    if (port.dtype, field.dtype) == ("float", "int") and (settings.data["source"] != "table" or field.names):
        help = f"store {name} as float32; pictures of bytes divided by 255"
        return [Message("error", facts, _of_words(field.names) if field.names else help)]
    if port.dtype != field.dtype and (port.dtype, field.dtype) != ("float", "int"):
        return [Message("error", facts)]
    if len(wanted) != len(field.dims):
        return [Message("error", f"{facts}: {len(wanted)} dims against {len(field.dims)}")]
    problems = [_bind(dim, size, bindings, settings) for dim, size in zip(wanted, field.dims, strict=True)]
    help = _resized(port, name, field, settings)
    return [Message("error", f"{facts}: {problem}", help) for problem in problems if problem]


def _resized(port: Port, name: str, field: Field, settings: Settings) -> str:
    """What to write where an input has another size than its field; nothing where sizes are symbols."""
    wanted = port.dims[1:]
    if any(isinstance(dim, str) for dim in wanted):
        return ""
    if settings.data["source"] == "images" and name == "image" and wanted[0] == field.dims[0]:
        _, height, width = wanted
        return f"write `size = {height}`" if height == width else f"write `size = [{height}, {width}]`"
    dims = _dims([port.dims[0], *field.dims])
    return f"let the model take {port.name}: {'' if port.dtype == 'float' else port.dtype}{dims}"


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
    unfit = _unfit_classes("the loss", head.output, head.field, settings, data)
    if unfit is not None:
        return [unfit]
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


def _unfit_classes(user: str, output: str, name: str, settings: Settings, data: Data) -> Message | None:
    """A class for each row of an output is an int, with the output's shape but for the axis of classes."""
    field = data.fields[name]
    dims = next(port.dims for port in settings.outputs if port.name == output)
    axis = 1 if len(dims) in (4, 5) else len(dims) - 1
    sizes = _sizes(settings, data)
    wanted = [_evaluated(dim, sizes) for place, dim in enumerate(dims) if place not in (0, axis)]
    flat = f"[{':, ' * len(field.dims)}0]" if field.dims[-1:] == (1,) and len(field.dims) == len(wanted) + 1 else ""
    several = "for several yes-or-no answers to one example there is `binary_cross_entropy_with_logits`"
    one_hot = _one_hot(field, name, wanted, _evaluated(dims[axis], sizes), data)
    if field.dtype != "int":
        longer = len(field.dims) > len(wanted)
        text = f"classes are ints, and the field {name} is {field.dtype}{_dims(field.dims) if longer else ''}"
        if _is_number(name, settings):
            return Message("error", text, f"write `classes = {dims[axis]}`")
        if longer and not flat:
            return Message("error", text, one_hot or several)
        return Message("error", text, f"store {name}{flat}.astype(numpy.int64)")
    if len(wanted) == len(field.dims) and all(w in (None, n) for w, n in zip(wanted, field.dims, strict=True)):
        return None
    shown = _dims(["..." if n is None else n for n in wanted])
    text = f"the field {name} is int{_dims(field.dims)}, and {user} takes int{shown}: a class for each row of {output}"
    return Message("error", text, f"store {name}{flat}" if flat else one_hot or several)


def _one_hot(field: Field, name: str, wanted: Sequence[int | None], width: int | None, data: Data) -> str:
    """What to store in place of rows of 0 that have one 1 at their class; nothing where they are no such rows."""
    dims = list(field.dims)
    places = [place for place in range(len(dims)) if dims[place] == width and width != 1]
    for place in reversed(places):
        others = dims[:place] + dims[place + 1 :]
        if len(others) != len(wanted) or any(w not in (None, n) for w, n in zip(wanted, others, strict=True)):
            continue
        for split in (data.train, data.validation):
            column = split.column(name) if isinstance(split, Rows) else None
            # Of rows with several 1, or with none, the largest entry is no answer.
            if column is not None and not bool(((column != 0).sum(place + 1) == 1).all()):
                return ""
        return f"store {name}.argmax({place + 1})"
    return ""


def _is_number(name: str, settings: Settings) -> bool:
    """Whether a field is the target of a table that is read as numbers."""
    asked = settings.data.get("options", {})
    return settings.data["source"] == "table" and name == "target" and asked.get("target") is not None


def _evaluated(dim: Dim, sizes: dict[str, int]) -> int | None:
    """None where a symbol has no size."""
    return evaluate(dim, sizes) if all(symbol in sizes for symbol in symbols_of(dim)) else None


def _targets(settings: Settings, data: Data) -> list[Message]:
    """What metrics, and the losses of a sum, take beside what the loss does."""
    found: list[Message] = []
    entrywise = {pair for loss in settings.losses.values() for pair in loss.alike}
    for target in settings.targets:
        field = data.fields.get(target.field)
        if field is None:
            continue
        if target.takes == "entries":
            found += _entries(target.word, target.output, target.field, settings, data)
        elif target.takes == "classes":
            is_entrywise = (target.output, target.field) in entrywise
            unfit = _no_classes(target, entrywise=is_entrywise) or _unfit_classes(
                target.word, target.output, target.field, settings, data
            )
            found += [unfit] if unfit is not None else _enough(target, field, settings)
    return found


def _no_classes(target: Target, *, entrywise: bool) -> Message | None:
    """Of what is asked entry by entry, such as yes or no, a metric of classes would count the wrong thing."""
    output, field = target.output, target.field
    help = f"of yes-or-no answers there is `auroc({output}, data.{field})`, of numbers `r2({output}, data.{field})`"
    if entrywise:
        text = f"{target.word} takes a class for each row of {output}, and the loss compares it entry by entry with"
        return Message("error", f"{text} the field {field}", help)
    if target.width == 1:
        text = f"{target.word} finds the largest of several logits, and the output {output} is 1 wide"
        return Message("error", text, help)
    return None


def _enough(target: Target, field: Field, settings: Settings) -> list[Message]:
    """An output that a metric looks for the largest entry in has one for each class."""
    classes = field.classes
    if settings.loss.ignore is not None and settings.loss.ignore + 1 == classes and field.but_last is not None:
        classes = field.but_last
    if target.width is None or (classes is not None and classes <= target.width):
        return []
    if classes is None:
        text = f"the field {target.field} has negative numbers: no classes counted from 0"
        return [Message("error", text, "only -100, which does not count, may be negative")]
    text = f"the output {target.output} is {target.width:,} wide, and the field {target.field} has {classes:,} classes"
    return [Message("error", text, f"{target.word} needs an output for each class, 0 to {classes - 1:,}")]


def _alike(settings: Settings, data: Data) -> list[Message]:
    pairs = (pair for loss in settings.losses.values() for pair in loss.alike)
    return [one for output, name in pairs for one in _entries("the loss", output, name, settings, data)]


def _entries(user: str, output: str, name: str, settings: Settings, data: Data) -> list[Message]:
    """An output and a target that are compared entry by entry have one shape, but for axes of 1."""
    field, sizes = data.fields.get(name), _sizes(settings, data)
    dims = next(port.dims[1:] for port in settings.outputs if port.name == output)
    if field is None or any(symbol not in sizes for dim in dims for symbol in symbols_of(dim)):
        return []
    mine = [evaluate(dim, sizes) for dim in dims]
    if [n for n in mine if n != 1] == [n for n in field.dims if n != 1]:
        return []
    text = f"the output {output} is {_dims(mine)} for an example, and the field {name} is {_dims(field.dims)}"
    return [Message("error", text, f"{user} compares them entry by entry: give them the same shape")]


def _prompt(settings: Settings, data: Data) -> list[Message]:
    """The text that samples begin with is one that the tokenizer can say."""
    if settings.sample is None or data.tokenizer is None:
        return []
    try:
        data.tokenizer.encode(settings.sample.prompt)
    except TokenizerError as fault:
        return [Message("error", f"the prompt of `sample` cannot be told: {fault.message}", fault.help)]
    return []


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
        more = width - count
        entries = "1 entry" if more == 1 else f"{more:,} entries"
        return [Message("warning", text, f"{entries} of the output will never be asked for", "head-width")]
    return []


def _no_field(name: str, data: Data, user: str) -> Message:
    near = difflib.get_close_matches(name, data.fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {_listed(data)}"
    return Message("error", f"the data has no field {name}, which {user} needs", hint)


def _listed(data: Data) -> str:
    return ", ".join(data.fields)


def _dims(dims: Sequence[Dim]) -> str:
    return f"[{', '.join(map(str, dims))}]"
