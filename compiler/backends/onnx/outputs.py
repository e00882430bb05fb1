"""Some of a model's outputs, with what they need."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass


def keep_outputs(model: ir.Model, names: Collection[str]) -> None:
    """Take the other outputs out of `model`, and the nodes, weights and inputs that only they need."""
    graph = model.graph
    for value in [value for value in graph.outputs if value.name not in names]:
        graph.outputs.remove(value)
    RemoveUnusedNodesPass()(model)
    for value in [value for value in graph.inputs if not value.uses() and not value.is_graph_output()]:
        graph.inputs.remove(value)
