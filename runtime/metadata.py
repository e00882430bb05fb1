"""What a released model says about itself: enough to run it with nothing but its file.

In an ONNX file these are the entries of `metadata_props` whose keys begin with "dlspec.".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .dims import symbols_of
from .errors import Refused
from .picture_steps import STEPS, Preparation
from .settings import Port, Settings
from .table_columns import Columns, columns_from_json
from .text import Tokenizer, tokenizer_from_json

if TYPE_CHECKING:
    from .data import Data, Field

FORMAT = "1"


@dataclass(frozen=True)
class Metadata:
    """`limits` are the largest sizes of symbols, `least` the smallest where those are more than 1; `classes` maps an
    output that scores classes to what its entries stand for; `pictures` is what is done to a picture before it is fed;
    `columns` says of which columns of a table an input is made, where the model learned from one.
    """

    version: str
    spec_sha256: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    tokenizer: Tokenizer | None = None
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    pictures: Preparation | None = None
    columns: Mapping[str, Columns] = field(default_factory=dict)

    def of_ports(self, names: Collection[str]) -> Metadata:
        """The same of a file that has only these inputs and outputs."""
        inputs = tuple(port for port in self.inputs if port.name in names)
        outputs = tuple(port for port in self.outputs if port.name in names)
        classes = {output: listed for output, listed in self.classes.items() if output in names}
        columns = {name: made for name, made in self.columns.items() if name in names}
        return replace(self, inputs=inputs, outputs=outputs, classes=classes, columns=columns)


def class_names(settings: Settings, fields: Mapping[str, Field]) -> dict[str, tuple[str, ...]]:
    """The output that is scored against classes, with their names, or their numbers where the data names none."""
    head = settings.loss.classes
    labels = fields.get(head.field) if head else None
    if head is None or labels is None or labels.classes is None or labels.dims:
        return {}  # where every place of an example has a class of its own, those are tokens
    return {head.output: labels.names or tuple(map(str, range(labels.classes)))}


def picture_size(settings: Settings, data: Data) -> tuple[int, int] | None:
    """Height and width of the pictures of a model's one input as they are read, where all have the same."""
    from .data.augmentation import Ragged

    if len(settings.inputs) != 1 or len(settings.inputs[0].dims) != 4:
        return None
    read = data.read or data.fields
    field = read.get(settings.bind[settings.inputs[0].name]) or read.get("image")
    if field is None or isinstance(field, Ragged) or len(field.dims) != 3:
        return None
    return field.dims[1], field.dims[2]


def write_metadata(metadata: Metadata) -> dict[str, str]:
    """The entries for a file; the same for the same metadata."""
    entries = {
        "dlspec.format": FORMAT,
        "dlspec.version": metadata.version,
        "dlspec.spec_sha256": metadata.spec_sha256,
        "dlspec.inputs": json.dumps([_stored(port, metadata) for port in metadata.inputs]),
        "dlspec.outputs": json.dumps([_stored(port, metadata) for port in metadata.outputs]),
    }
    if metadata.tokenizer:
        entries["dlspec.tokenizer"] = metadata.tokenizer.to_json()
    if metadata.classes:
        entries["dlspec.classes"] = json.dumps(dict(metadata.classes), ensure_ascii=False)
    if metadata.pictures:
        entries["dlspec.pictures"] = json.dumps(asdict(metadata.pictures))
    if metadata.columns:
        entries["dlspec.columns"] = json.dumps(
            {name: made.to_json() for name, made in metadata.columns.items()}, ensure_ascii=False
        )
    return entries


def read_metadata(entries: Mapping[str, str], name: str) -> Metadata:
    """What the entries of the file `name` say. Raises Refused where they are not ours, newer, or damaged."""
    form = entries.get("dlspec.format")
    if form is None:
        raise Refused(
            f"{name} was not exported by dlspec: it does not say what its inputs and outputs mean",
            "Export a run with `dlspec export RUN -o DIR`.",
        )
    if form != FORMAT:
        raise Refused(
            f"{name} has format {form}, of dlspec {entries.get('dlspec.version', '?')}; this one reads {FORMAT}",
            "Update dlspec.",
        )
    try:
        inputs, outputs = json.loads(entries["dlspec.inputs"]), json.loads(entries["dlspec.outputs"])
        stored_classes = json.loads(entries.get("dlspec.classes", "{}"))
        stored_columns = json.loads(entries.get("dlspec.columns", "{}"))
        return Metadata(
            version=entries["dlspec.version"],
            spec_sha256=entries["dlspec.spec_sha256"],
            inputs=tuple(_port(stored) for stored in inputs),
            outputs=tuple(_port(stored) for stored in outputs),
            limits={symbol: limit for stored in inputs for symbol, limit in stored["limits"].items()},
            least={symbol: size for stored in inputs for symbol, size in stored.get("least", {}).items()},
            tokenizer=tokenizer_from_json(entries["dlspec.tokenizer"]) if "dlspec.tokenizer" in entries else None,
            classes={output: tuple(names) for output, names in stored_classes.items()},
            pictures=_preparation(json.loads(entries["dlspec.pictures"])) if "dlspec.pictures" in entries else None,
            columns={name: columns_from_json(made) for name, made in stored_columns.items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"what {name} says about itself is damaged: {error!r}", "Export it again.") from None


def _stored(port: Port, metadata: Metadata) -> dict[str, Any]:
    symbols = [symbol for dim in port.dims for symbol in symbols_of(dim)]
    bounds = {"limits": metadata.limits, "least": metadata.least}
    said = {word: {symbol: sizes[symbol] for symbol in symbols if symbol in sizes} for word, sizes in bounds.items()}
    rows = {} if port.rows is None else {"rows": port.rows}
    return {"name": port.name, "dtype": port.dtype, "dims": list(port.dims), **rows, **said}


def _preparation(stored: Mapping[str, Any]) -> Preparation:
    size, steps = stored["size"], tuple((name, options) for name, options in stored["steps"])
    unknown = [name for name, _ in steps if name not in STEPS]
    if unknown:
        raise ValueError(f"no step is called {unknown[0]}")
    given = stored.get("given")  # files of before have none
    return Preparation(
        None if size is None else (size[0], size[1]), steps, None if given is None else (given[0], given[1])
    )


def _port(stored: Mapping[str, Any]) -> Port:
    return Port(stored["name"], stored["dtype"], tuple(stored["dims"]), stored.get("rows"))
