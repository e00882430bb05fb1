"""Outputs for examples out of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .array_file import UnreadableArray, open_array_file, read_array
from .errors import Refused
from .given_file import require_file
from .json_text import UnreadableJson, decode_json
from .metadata import Metadata
from .picture_file import SUFFIXES as PICTURES
from .picture_file import decode_picture
from .picture_steps import Preparation, Step, apply
from .session import Arrays, Session, fitted, form, shown
from .settings import Port
from .table_inputs import SUFFIXES as TABLES
from .table_inputs import inputs_of_rows, named_columns, read_rows
from .whole import LEAST, MOST, told

TEXT = ".txt"
AT_ONCE = 64


def read_examples(path: Path, metadata: Metadata) -> Arrays:
    """The inputs in a file: .npy, .npz, .json or a picture; one example, or several along the first axis. Rows of a
    .csv, .jsonl or .parquet, and rows of a .json that name their cells, are for models that learned from a table.

    A picture is scaled, cut and normalized as those are that the model was measured on; arrays are what it takes.
    Raises Refused for a file that is none of these, or does not fit the inputs of the model.
    """
    require_file(path, "Give one file of it: .npy, .npz, .json or a picture.")
    suffix = path.suffix.lower()
    if suffix == ".json":
        feeds = _from_json(path, metadata)
    elif suffix in (".npy", ".npz"):
        feeds = _from_numpy(path, metadata)
    elif suffix in PICTURES:
        feeds = _from_picture(path, metadata)
    elif suffix in TABLES and metadata.columns:
        feeds = read_rows(path, metadata.inputs, metadata.columns)
    else:
        hint = "For text there is `dlspec generate`." if metadata.tokenizer else _rows_help(metadata)
        kinds = ".npy, .npz, .json or a picture" if suffix == TEXT else ".npy, .npz, .json, a picture or lines as .txt"
        raise Refused(f"{path.name} is no kind of input: give {kinds}", hint)
    ports = {port.name: port for port in metadata.inputs}
    empty = next((name for name, array in feeds.items() if name in ports and array.shape[:1] == (0,)), None)
    if empty is not None:
        raise Refused(f"{path.name} holds no example", _rows_help(metadata) or form(ports[empty]))
    whole = {name: _stacked(array, ports.get(name)) for name, array in feeds.items()}
    examples = fitted(metadata, whole)
    if suffix in (".npy", ".npz"):
        _require_floats(whole, path, metadata)
    for name, array in examples.items():
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise Refused(f"{name} in {path.name} holds a number that is not finite as float32, in example {row + 1:,}")
    return examples


def read_lines(path: Path) -> list[str]:
    """The lines of a text. Raises Refused where there is none."""
    require_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path.name} cannot be read as UTF-8: {error}") from None
    lines = lines[:-1] if not lines[-1] else lines
    if not lines:
        raise Refused(f"{path.name} holds no line")
    return lines


def predict(session: Session, examples: Arrays) -> Iterator[dict[str, Any]]:
    """The outputs of each example, ready for JSON: by output name the class with its probability where the output
    scores classes, else numbers as nested lists."""
    count = len(next(iter(examples.values())))
    for start in range(0, count, AT_ONCE):
        part = {name: array[start : start + AT_ONCE] for name, array in examples.items()}
        results = session.run(part)
        for index in range(len(next(iter(part.values())))):
            yield {name: _said(array[index], session.metadata.classes.get(name)) for name, array in results.items()}


def _said(output: NDArray, names: tuple[str, ...] | None) -> Any:
    if names is None or output.shape != (len(names),):
        return output.tolist()
    scores = np.exp(output.astype(np.float64) - output.max())
    best = int(output.argmax())
    return {"class": names[best], "index": best, "probability": float(scores[best] / scores.sum())}


def _from_json(path: Path, metadata: Metadata) -> Arrays:
    try:
        content = decode_json(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, OSError) as error:
        raise Refused(f"{path.name} is no JSON: {error}") from None
    except UnreadableJson as fault:
        raise Refused(f"{path.name} {fault}") from None
    rows = _named_rows(content, metadata)
    if rows:
        return inputs_of_rows(rows, path.name, metadata.inputs, metadata.columns)
    if not isinstance(content, dict):
        content = {_only_input(metadata).name: content}
    ports = {port.name: port for port in metadata.inputs}
    arrays = {}
    for name, value in content.items():
        arrays[name] = _array(value, f"{name} in {path.name}", ports.get(name))
        if arrays[name].dtype.kind not in "fiub":
            wanted = f": {shown(ports[name])} is made of numbers" if name in ports else ""
            named = isinstance(value, list) and any(isinstance(row, dict) for row in value)
            help = _rows_help(metadata) if named or metadata.columns else ""
            raise Refused(f"{name} in {path.name} holds what is no number{wanted}", help)
    if not arrays.keys() & ports.keys() and _rows_help(metadata):
        raise Refused(f"{path.name} has no {metadata.inputs[0].name}, which the model takes", _rows_help(metadata))
    return arrays


def _array(value: Any, shown: str, port: Port | None) -> NDArray:
    """Nested lists as an array: of Python objects where they hold what is no number. Raises Refused."""
    try:
        array = np.array(value)
    except ValueError as error:
        if "number of dimension" in str(error):
            raise Refused(f"{shown} has too many brackets inside brackets") from None
        raise Refused(f"the rows of {shown} differ in length") from None
    # Of whole numbers that int64 does not hold numpy makes floats or leaves them Python's.
    if port is not None and port.dtype == "int" and array.dtype != np.int64:
        cells = np.array(value, object).flat
        beyond = next((one for one in cells if isinstance(one, int) and not LEAST <= one <= MOST), None)
        if beyond is not None:
            raise Refused(f"{shown} holds {told(beyond)}")
    if array.dtype.kind == "O" and all(isinstance(one, int | float) for one in array.flat):
        return np.array(list(map(_float, array.flat))).reshape(array.shape)
    return array


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _named_rows(content: Any, metadata: Metadata) -> list[dict[str, Any]]:
    """Rows that name their cells, for a model that learned from a table: a list of objects, or the object of one."""
    if not metadata.columns:
        return []
    if isinstance(content, dict) and not content.keys() & {port.name for port in metadata.inputs}:
        return [content]
    rows: list[Any] = content if isinstance(content, list) else []
    return rows if all(isinstance(row, dict) for row in rows) else []


def _rows_help(metadata: Metadata) -> str:
    """How rows are written; nothing where a model takes anything else."""
    if metadata.columns:
        return f"Write the rows as a .csv, with the columns {named_columns(metadata.columns)} in any order."
    if len(metadata.inputs) != 1 or len(metadata.inputs[0].dims) != 2:
        return ""
    (port,) = metadata.inputs
    width = port.dims[1]
    row = [*range(1, width + 1)] if isinstance(width, int) and width <= 6 else [1, 2, "..."]
    form = f"[[{', '.join(map(str, row))}]]"
    return (
        f"Write a .json with a list for each row, {form}: numbers in the order of `{port.name}` in training, no names."
    )


def _from_numpy(path: Path, metadata: Metadata) -> Arrays:
    try:
        stored = open_array_file(path)
        if isinstance(stored, np.ndarray):
            return {_only_input(metadata).name: stored}
        with stored:
            arrays = {name: read_array(stored, name) for name in stored.files}
    except UnreadableArray as fault:
        raise Refused(f"{path.name} cannot be read as arrays of numbers: {fault}") from None
    if len(arrays) == 1 and len(metadata.inputs) == 1:  # there is no doubt what is meant
        return {metadata.inputs[0].name: next(iter(arrays.values()))}
    return arrays


def _require_floats(feeds: Arrays, path: Path, metadata: Metadata) -> None:
    """Raises Refused for pictures (or what else has more axes than a row) of whole numbers, as training does: those are
    256 shades that nothing has scaled."""
    for port in metadata.inputs:
        array = feeds.get(port.name)
        if array is None or port.dtype != "float" or len(port.dims) < 3 or array.dtype.kind not in "iu":
            continue
        steps = () if metadata.pictures is None else metadata.pictures.steps
        scaled = ", then normalized as in training" if any(name == "normalize" for name, _ in steps) else ""
        raise Refused(
            f"{port.name} in {path.name} is {array.dtype}, and the model takes {shown(port)}",
            f"Store {port.name} as float32; pictures of bytes divided by 255{scaled}.",
        )


def _from_picture(path: Path, metadata: Metadata) -> Arrays:
    port = _only_input(metadata)
    if port.dtype != "float" or len(port.dims) != 4 or port.dims[1] not in (1, 3):
        raise Refused(f"{path.name} is a picture, and the model takes {shown(port)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror or error}") from None
    prepared = metadata.pictures or Preparation(None, ())
    pixels = decode_picture(content, path.name, port.dims[1], prepared.size).astype(np.float32) / 255
    _require_size(prepared.given, path, pixels)
    added = 0
    for step in prepared.steps:
        _require_room(step, path, pixels, added)
        pixels = apply(step, pixels)
        added += 2 * step[1]["pixels"] if step[0] == "pad" else 0
    return {port.name: pixels[None]}


def _require_size(wanted: tuple[int, int] | None, path: Path, pixels: NDArray) -> None:
    """Of a larger picture the middle would be cut out, which is no picture as the model has seen any."""
    height, width = pixels.shape[-2:]
    if wanted is not None and wanted != (height, width):
        size = " x ".join(map(str, wanted))
        raise Refused(
            f"{path.name} is {height} x {width} pixels, and the model learned from pictures of {size}",
            f"Scale it to {size}.",
        )


def _require_room(step: Step, path: Path, pixels: NDArray, added: int) -> None:
    """`added` are the pixels of a side that are no picture."""
    name, options = step
    height, width = pixels.shape[-2:]
    if name == "center_crop" and (options["size"][0] > height or options["size"][1] > width):
        wanted = " x ".join(str(side - added) for side in options["size"])
        raise Refused(
            f"{path.name} is {height - added} x {width - added} pixels, and the model sees {wanted} of them",
            "Give a larger one.",
        )


def _only_input(metadata: Metadata) -> Port:
    if len(metadata.inputs) != 1:
        form = ", ".join(f"{json.dumps(port.name)}: ..." for port in metadata.inputs)
        raise Refused(
            f"the model has {len(metadata.inputs)} inputs: {', '.join(map(shown, metadata.inputs))}",
            f"Give a .npz with these arrays, or a .json of the form {{{form}}}.",
        )
    (port,) = metadata.inputs
    return port


def _stacked(array: NDArray, port: Port | None) -> NDArray:
    """A single example becomes a batch of one."""
    return array[None] if port is not None and array.ndim == len(port.dims) - 1 else array
