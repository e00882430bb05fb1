"""ONNX by PyTorch's own exporter: the way out for models with layers that are written in Python.

It follows what the model does on an example. Where the lengths of the example get into the graph it refuses, or the
proof does, which tries others.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
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
    return _plain(program.model, metadata)


def _example_sizes(metadata: Metadata) -> Sizes:
    """Sizes of which none is 1, where there are such: the exporter takes a 1 for a fixed length."""
    trials = trial_sizes(metadata)
    return max(trials, key=lambda sizes: (min(sizes.values(), default=0) > 1, -sum(sizes.values())))


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
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
