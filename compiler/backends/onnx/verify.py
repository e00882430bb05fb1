"""Checks a written file against the standard and against what this backend promises."""

from __future__ import annotations

from pathlib import Path

import onnx

from .model import IR_VERSION, OPSET


def verify_graph(path: Path) -> list[str]:
    """What is wrong with a file, in words; empty where nothing is.

    It has to pass ONNX's checker and strict shape inference, which must find a shape for every value, declare the
    versions of this backend, and keep weights in itself or in a file beside it.
    """
    try:
        onnx.checker.check_model(path, full_check=True)
        model = onnx.load(path, load_external_data=False)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return [str(error)]
    return [*_versions(model), *_shapes(inferred.graph), *_locations(model.graph)]


def _versions(model: onnx.ModelProto) -> list[str]:
    found = {entry.domain: entry.version for entry in model.opset_import}
    faults = []
    if found != {"": OPSET}:
        faults.append(f"the operators are {found}, not the standard ones of version {OPSET} alone")
    if model.ir_version != IR_VERSION:
        faults.append(f"the format version is {model.ir_version}, not {IR_VERSION}")
    return faults


def _shapes(graph: onnx.GraphProto) -> list[str]:
    known = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.input, *graph.output)}
    made = [name for node in graph.node for name in node.output if name]
    return [f"`{name}` has no shape" for name in made if name not in known or not _is_known(known[name])]


def _is_known(type: onnx.TypeProto.Tensor) -> bool:
    # Inference calls a dim that it knows nothing of `unk__0`.
    return type.HasField("shape") and all(
        dim.HasField("dim_value") or (dim.dim_param and not dim.dim_param.startswith("unk__")) for dim in type.shape.dim
    )


def _locations(graph: onnx.GraphProto) -> list[str]:
    places = [
        (tensor.name, entry.value)
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    ]
    return [
        f"the weight `{name}` lies at `{place}`, not beside the file"
        for name, place in places
        if place in ("", ".", "..") or "/" in place or "\\" in place
    ]
