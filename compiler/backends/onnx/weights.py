"""Where the numbers of an exported graph come from: arrays, a safetensors file, or a reference into one.

A graph is float32; bfloat16 and float16 are widened, which changes no value. A file is read tensor by tensor while
the graph is written, so that no copy of the whole model stands in memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx_ir as ir

_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}
_HEADER_LIMIT = 100_000_000  # that of the safetensors format


class WeightFault(Exception):
    """Weights that do not fit the model, or a file that holds none. The message says which and what is expected."""


class WeightSource(Protocol):
    """A weight that may not have been read yet."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def tensor(self, name: str) -> ir.TensorProtocol:
        """It as a float32 tensor of the graph, called `name`. Raises WeightFault where it holds other numbers."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayWeight:
    """A weight in memory."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def tensor(self, name: str) -> ir.TensorProtocol:
        if self.array.dtype.name not in ("float32", "float16", "bfloat16"):
            raise WeightFault(f"weight `{name}` is {self.array.dtype.name}; a weight is float32, float16 or bfloat16")
        return ir.Tensor(np.ascontiguousarray(self.array, dtype=np.float32), name=name)


@dataclass(frozen=True)
class StoredWeight:
    """A weight in a safetensors file: `length` bytes from `offset`."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int

    def tensor(self, name: str) -> ir.TensorProtocol:
        if self.dtype not in _WIDTHS:
            raise WeightFault(f"weight `{name}` in {self.path.name} is {self.dtype}; a weight is F32, F16 or BF16")
        return ir.LazyTensor(
            lambda: ir.Tensor(self._read(), name=name), ir.DataType.FLOAT, ir.Shape(self.shape), name=name
        )

    def _read(self) -> np.ndarray:
        kind = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[self.dtype]
        raw = np.fromfile(self.path, kind, math.prod(self.shape), offset=self.offset).reshape(self.shape)
        if self.dtype == "BF16":
            return (raw.astype(np.uint32) << 16).view(np.float32)  # bfloat16 is the upper half of a float32
        return raw.astype(np.float32, copy=False)


@dataclass(frozen=True)
class ReferencedWeight:
    """A weight that stays in the safetensors file; the graph says where, as the file lies beside it."""

    stored: StoredWeight

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    def tensor(self, name: str) -> ir.TensorProtocol:
        s = self.stored
        if s.dtype != "F32":
            raise WeightFault(
                f"weight `{name}` in {s.path.name} is {s.dtype}: a graph can refer to float32 only; "
                "export with the weights inside, where they are widened"
            )
        shape = ir.Shape(s.shape)
        return ir.ExternalTensor(
            s.path.name, s.offset, s.length, ir.DataType.FLOAT, shape=shape, name=name, base_dir=s.path.parent
        )


class SafetensorsFile(Mapping[str, StoredWeight]):
    """The tensors of a safetensors file by name. Opening reads the header only, and checks every place in it.

    Raises WeightFault where the file is no safetensors file, or shorter than its header says.
    """

    def __init__(self, path: Path) -> None:
        self._weights = _header(path)

    def __getitem__(self, name: str) -> StoredWeight:
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def by_reference(self) -> dict[str, ReferencedWeight]:
        """The same weights, to be left where they are."""
        return {name: ReferencedWeight(weight) for name, weight in self._weights.items()}


def _header(path: Path) -> dict[str, StoredWeight]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
                raise WeightFault(f"{path.name} is no safetensors file: its header does not fit into it")
            header = json.loads(file.read(length))
    except OSError as error:
        raise WeightFault(f"{path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise WeightFault(f"{path.name} is no safetensors file: its header is not JSON") from error
    start = 8 + length
    try:
        found = {name: _stored(path, entry, start) for name, entry in header.items() if name != "__metadata__"}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightFault(f"{path.name} is no safetensors file: its header lists no tensors") from error
    for name, weight in found.items():
        width = _WIDTHS.get(weight.dtype)
        fits = width is None or weight.length == width * math.prod(weight.shape)
        if weight.offset < start or weight.length < 0 or weight.offset + weight.length > size or not fits:
            raise WeightFault(f"{path.name} is damaged: `{name}` does not lie where its header says")
    return found


def _stored(path: Path, entry: dict[str, object], start: int) -> StoredWeight:
    begin, end = (int(n) for n in entry["data_offsets"])  # type: ignore[attr-defined]
    shape = tuple(int(n) for n in entry["shape"])  # type: ignore[attr-defined]
    if any(n < 0 for n in shape):
        raise ValueError(shape)
    return StoredWeight(path, str(entry["dtype"]), shape, start + begin, end - begin)
