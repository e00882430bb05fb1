"""An ONNX file from the IR: standard operators of opset 23, weights under their checkpoint keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from ...ir.graph import Graph
from ...ir.view import view
from .builder import OnnxBuilder
from .lower import lower, tensor_type
from .outputs import keep_outputs
from .parameters import parameters
from .weights import ArrayWeight, WeightSource

# The newest that ONNX Runtime 1.23 and later run: Attention, RMSNormalization and RotaryEmbedding are operators in it.
OPSET = 23
IR_VERSION = 10


def build(
    graph: Graph,
    weights: Mapping[str, np.ndarray | WeightSource],
    *,
    metadata: Mapping[str, str] = MappingProxyType({}),
    outputs: Sequence[str] | None = None,
) -> ir.Model:
    """The model as an ONNX graph for evaluation. `outputs` names those to keep, with the inputs that they need.

    `metadata` is written into the file as it is. Raises WeightFault where the weights are not those of the model.
    """
    asked = graph.outputs if outputs is None else tuple(name for name in graph.outputs if name in outputs)
    model = view(graph.model, [graph.outputs.index(name) for name in asked])
    sources = {name: ArrayWeight(w) if isinstance(w, np.ndarray) else w for name, w in weights.items()}
    known = parameters(graph)
    entering = [(value.name or "", tensor_type(value)) for value in model.inputs]
    g = OnnxBuilder(OPSET, known, known.match(sources), {*(name for name, _ in entering), *graph.outputs})
    inputs = [g.input(name, type) for name, type in entering]
    for name, value, made in zip(asked, model.outputs, lower(g, model, inputs), strict=True):
        g.output(name, made, tensor_type(value))
    result = ir.Model(
        g.graph, ir_version=IR_VERSION, producer_name="dlspec", metadata_props=dict(sorted(metadata.items()))
    )
    if outputs is not None:
        keep_outputs(result, outputs)
    return result
