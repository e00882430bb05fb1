"""Writes an ONNX model: whole or not at all, the weights inside, or beside it where they are too large for one file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx_ir as ir

from .stream import write
from .weights import WeightFault

# A protobuf file holds 2 GB at most; readers copy it at least once.
INLINE_LIMIT = 1_000_000_000


def save(model: ir.Model, path: Path, *, inline_limit: int = INLINE_LIMIT) -> list[Path]:
    """Write `path`, and `<name>.onnx.data` beside it where the weights take more than `inline_limit` bytes.

    Returns the files written. Weights by reference stay where they are, which must be beside `path`. Raises
    WeightFault where they are not, or where a link stands in the place of a file to write.
    """
    held = [value.const_value for value in model.graph.initializers.values()]
    for tensor in held:
        if isinstance(tensor, ir.ExternalTensor):
            _check_beside(tensor, path)
    own = sum(t.nbytes for t in held if t is not None and not isinstance(t, ir.ExternalTensor))
    data = f"{path.name}.data" if own > inline_limit else None
    targets = [path, *([path.with_name(data)] if data else [])]
    for target in targets:
        if target.is_symlink():
            raise WeightFault(f"{target.name} is a link, and what it points to would be written over: remove it")
    # A reader never sees half a file, and a full disk leaves the file that was there.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        if data:
            ir.save(model, Path(folder, path.name), external_data=data)
        else:
            with Path(folder, path.name).open("wb") as file:
                write(model, file)
        for target in reversed(targets):
            os.replace(Path(folder, target.name), target)
    return targets


def _check_beside(tensor: ir.ExternalTensor, path: Path) -> None:
    place = Path(tensor.base_dir, tensor.location)
    if place.parent.resolve() != path.parent.resolve():
        raise WeightFault(f"the weights are in {place.name}, which must lie in the folder of {path.name}")
    if place.is_symlink():
        raise WeightFault(f"{place.name} is a link, which readers of ONNX refuse: put the file itself there")
