"""ONNX by PyTorch's own exporter: the way out for models with layers that are written in Python.

It follows what the model does on an example. Where the lengths of the example get into the graph it refuses, or the
proof does, which tries others.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..dims import evaluate, symbols_of
from ..errors import Refused
from ..metadata import Metadata, write_metadata
from ..settings import Port
from .trials import Sizes, random_inputs, trial_sizes

if TYPE_CHECKING:
    import onnx_ir as ir

OPSET = 23


def trace_onnx(model: nn.Module, metadata: Metadata, ranges: Mapping[str, int]) -> ir.Model:
    """The model in evaluation as an ONNX graph, open dims open, with `metadata` and without places in source files.

    `ranges` are how far whole numbers go in each int input. Raises Refused where PyTorch cannot follow the model.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise Refused(
            "a model with layers written in Python goes to ONNX through PyTorch's exporter, which needs onnxscript",
            "Install it: `pip install onnxscript`; or leave ONNX out, `--to torchscript`.",
        )
    sizes = _example_sizes(metadata)
    arrays = random_inputs(metadata, sizes, ranges, seed=0)
    example = tuple(torch.from_numpy(arrays[port.name]) for port in metadata.inputs)
    with _silently():
        try:
            program = torch.onnx.export(
                model.eval(),
                example,
                dynamo=True,
                dynamic_shapes=_open_dims(metadata),
                input_names=[port.name for port in metadata.inputs],
                output_names=[port.name for port in metadata.outputs],
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:  # whatever a layer does that the exporter does not know
            raise _refusal(error) from None
    assert program is not None
    _require_open(program.model, metadata)
    return _plain(program.model, metadata)


def _example_sizes(metadata: Metadata) -> Sizes:
    """Small sizes, and none of 1 where it may be more: the exporter takes a 1 for a fixed length."""
    smallest = min(trial_sizes(metadata), key=lambda sizes: sum(sizes.values()))
    return {
        symbol: min(max(size, place), metadata.limits.get(symbol, size + place))
        for place, (symbol, size) in enumerate(smallest.items(), 2)
    }


def _open_dims(metadata: Metadata) -> tuple[dict[int, Any], ...]:
    symbols = dict.fromkeys(symbol for port in metadata.inputs for dim in port.dims for symbol in symbols_of(dim))
    dims: dict[str, Any] = {name: torch.export.Dim(name, max=metadata.limits.get(name)) for name in symbols}
    return tuple(_port_dims(port, dims) for port in metadata.inputs)


def _port_dims(port: Port, dims: Mapping[str, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for axis, dim in enumerate(port.dims):
        if isinstance(dim, str):
            try:
                found[axis] = evaluate(dim, dims)
            except (TypeError, NotImplementedError):  # not linear in one symbol
                found[axis] = torch.export.Dim.AUTO
    return found


def _require_open(model: ir.Model, metadata: Metadata) -> None:
    for port, value in zip(metadata.inputs, model.graph.inputs, strict=True):
        for dim, made in zip(port.dims, value.shape or (), strict=True):
            if isinstance(dim, str) and isinstance(made, int):
                raise Refused(
                    f"PyTorch's exporter takes {dim} of the input {port.name} for a fixed length: a layer makes a "
                    "plain number of it",
                    "Use lengths as `x.shape` gives them, without `int(...)`; or leave ONNX out: `--to torchscript`.",
                )


def _plain(model: ir.Model, metadata: Metadata) -> ir.Model:
    """With our entries, and without what the exporter noted of source files."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.metadata_props.clear()
    model.metadata_props.update(sorted(write_metadata(metadata).items()))
    return model


def _refusal(error: Exception) -> Refused:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = lines[0] if lines else type(cause).__name__
    return Refused(f"PyTorch's exporter cannot follow this model: {said}", "`--to torchscript` leaves ONNX out.")


@contextmanager
def _silently() -> Iterator[None]:
    """Without what the exporter says of its own progress and of packages that it could use."""
    loggers = [log for name, log in logging.root.manager.loggerDict.items() if name.partition(".")[0] == "torch"]
    handlers = [handler for log in loggers if isinstance(log, logging.Logger) for handler in log.handlers]
    for handler in handlers:
        handler.addFilter(_nothing)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
