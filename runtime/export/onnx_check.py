"""Is a model.onnx what it says it is? What can be known of it before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..dims import Dim, is_symbol
from ..errors import ProofFailed
from ..metadata import Metadata
from ..settings import Port
from .leaks import leaked_path, machine_paths

if TYPE_CHECKING:
    import onnx

DOMAINS = ("",)


def check_onnx(
    path: Path, metadata: Metadata, *, opset: int = 23, ir_version: int = 10, domains: tuple[str, ...] = DOMAINS
) -> dict[str, Any]:
    """Facts for the report of a file that is valid, of the declared versions, with a shape for every value, inputs
    and outputs as the spec has them, weights beside it or in it, and no path of this machine.

    Raises ProofFailed with everything that is wrong.
    """
    import onnx

    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError is not public, and onnx wraps it in its own
        raise ProofFailed(f"{path.name} is no ONNX file: {error}") from None
    problems = [
        *_versions(model, opset, ir_version, domains),
        *_ports(model, metadata),
        *_locations(model, path),
        *_paths(model),
    ]
    values = 0
    if not problems:  # the checker follows the locations of weights, so these have to be in order
        try:
            onnx.checker.check_model(str(path), full_check=True)
            shaped = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            problems.append(f"the checker refuses it: {str(error).strip()}")
        else:
            names = list(_values(shaped.graph))
            values = len(names)
            problems += [f"the value {name} has no shape" for name, has_shape in names if not has_shape]
    if problems:
        raise ProofFailed(f"{path.name} is not what it should be:\n" + "\n".join(f"  {line}" for line in problems))
    return {"opset": opset, "ir_version": ir_version, "nodes": len(model.graph.node), "values": values}


def _versions(model: onnx.ModelProto, opset: int, ir_version: int, domains: tuple[str, ...]) -> Iterator[str]:
    if model.ir_version != ir_version:
        yield f"its IR version is {model.ir_version}, not {ir_version}"
    imported = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
    if imported.get("") != opset:
        yield f"its opset is {imported.get('')}, not {opset}"
    for domain in sorted(imported.keys() - set(domains)):
        yield f"it needs operators of {domain}, which are not part of ONNX"


def _ports(model: onnx.ModelProto, metadata: Metadata) -> Iterator[str]:
    for what, values, ports in (
        ("inputs", model.graph.input, metadata.inputs),
        ("outputs", model.graph.output, metadata.outputs),
    ):
        names, wanted = [value.name for value in values], [port.name for port in ports]
        if names != wanted:
            yield f"its {what} are {', '.join(names)}, not {', '.join(wanted)}"
            continue
        for value, port in zip(values, ports, strict=True):
            yield from _port(value, port)


def _port(value: onnx.ValueInfoProto, port: Port) -> Iterator[str]:
    import onnx

    kind = {"float": onnx.TensorProto.FLOAT, "int": onnx.TensorProto.INT64, "bool": onnx.TensorProto.BOOL}[port.dtype]
    tensor = value.type.tensor_type
    if tensor.elem_type != kind:
        yield f"{port.name} is {onnx.TensorProto.DataType.Name(tensor.elem_type)}, not {port.dtype}"
    dims: list[Dim | None] = [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim
    ]
    if len(dims) != len(port.dims):
        yield f"{port.name} has {len(dims)} dims, not {len(port.dims)}"
        return
    for place, (dim, wanted) in enumerate(zip(dims, port.dims, strict=True)):
        if not _same_dim(dim, wanted):
            yield f"dim {place} of {port.name} is {'unknown' if dim is None else dim}, not {wanted}"


def _same_dim(dim: Dim | None, wanted: Dim) -> bool:
    """A symbol keeps its name; a dim that is computed from symbols may be spelt otherwise, and stays open."""
    if isinstance(wanted, int) or is_symbol(wanted):
        return dim == wanted
    return isinstance(dim, str)


def _locations(model: onnx.ModelProto, path: Path) -> Iterator[str]:
    """Weights outside of the file lie beside it, under a single name, and are as long as it says."""
    import onnx

    for tensor in _tensors(model.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if PurePosixPath(location).name != location or location in ("", ".", "..") or "\\" in location:
            yield f"the weight {tensor.name} is to be found in {location!r}, which is no file beside it"
            continue
        file = path.parent / location
        start, length = entries.get("offset", "0"), entries.get("length", "0")
        if file.is_symlink() or not file.is_file():
            yield f"the weight {tensor.name} is to be found in {location}, which is no file"
        elif not (start.isdecimal() and length.isdecimal() and int(start) + int(length) <= file.stat().st_size):
            yield f"the weight {tensor.name} is to be found in {location}, at {start} for {length} bytes: it is shorter"


def _paths(model: onnx.ModelProto) -> Iterator[str]:
    import onnx

    words = onnx.ModelProto()
    words.CopyFrom(model)
    for tensor in _tensors(words.graph):
        tensor.ClearField("raw_data")  # numbers may look like anything
    found = leaked_path(words.SerializeToString(), machine_paths())
    if found:
        yield f"it names a folder of this machine: {found}"


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
    for inner in _inner(graph):
        yield from _tensors(inner)


def _values(graph: onnx.GraphProto) -> Iterator[tuple[str, bool]]:
    """Every value that a node computes, and whether it has a shape; also in the bodies of loops and branches."""
    known = {
        info.name
        for info in (*graph.value_info, *graph.input, *graph.output)
        if info.type.tensor_type.HasField("shape")
    }
    for node in graph.node:
        yield from ((name, name in known) for name in node.output if name)
    for inner in _inner(graph):
        yield from _values(inner)


def _inner(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs
