"""A model that takes arrays and gives arrays, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .dims import broken_bound, evaluate, is_symbol, solved, symbols_of
from .errors import Refused
from .metadata import Metadata
from .settings import Port
from .whole import first_beyond, told

Arrays = dict[str, NDArray]

TYPES = {"float": np.dtype(np.float32), "int": np.dtype(np.int64), "bool": np.dtype(np.bool_)}


class Session(ABC):
    """`metadata` says which arrays: their names, types and dims."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata

    @abstractmethod
    def run(self, feeds: Mapping[str, NDArray]) -> Arrays:
        """All outputs for arrays that `fitted` has let pass."""

    @property
    def context(self) -> int | None:
        """How many tokens a language model reads at most; None: as many as there are. Raises Refused."""
        source, _ = language_ports(self.metadata)
        return self.metadata.limits.get(str(source.dims[1]))

    def next_logits(self, ids: Sequence[int]) -> NDArray:
        """What a language model says of the token after `ids`: one number for each entry of its vocabulary.

        Raises Refused for fewer ids than it reads at least.
        """
        source, target = language_ports(self.metadata)
        broken = broken_bound(str(source.dims[1]), len(ids), {}, self.metadata.least)
        if broken:
            raise Refused(f"the text is {len(ids):,} tokens, and {broken}", "Give a longer prompt.")
        return self.run({source.name: np.array([ids], np.int64)})[target.name][0, -1]


def language_ports(metadata: Metadata) -> tuple[Port, Port]:
    """The input and the output of a language model: int[B, T] -> [B, T, vocabulary]. Raises Refused for any other."""
    if len(metadata.inputs) == 1:
        (source,) = metadata.inputs
        if source.dtype == "int" and len(source.dims) == 2 and is_symbol(source.dims[1]):
            for target in metadata.outputs:
                if target.dtype == "float" and len(target.dims) == 3 and target.dims[:2] == source.dims:
                    return source, target
    ports = ", ".join(map(shown, metadata.inputs)), ", ".join(map(shown, metadata.outputs))
    raise Refused(
        f"this is no language model: it takes {ports[0]} and gives {ports[1]}",
        "A language model takes int[B, T] and gives [B, T, vocabulary]; for others there is `dlspec predict`.",
    )


def fitted(metadata: Metadata, feeds: Mapping[str, NDArray]) -> Arrays:
    """`feeds` in the types of the inputs, in their order. Raises Refused for what is missing or does not fit."""
    unknown = feeds.keys() - {port.name for port in metadata.inputs}
    if unknown:
        raise Refused(f"the model has no input {min(unknown)}", f"It takes {', '.join(map(shown, metadata.inputs))}.")
    bindings: dict[str, int] = {}
    arrays: Arrays = {}
    for port in metadata.inputs:
        if port.name not in feeds:
            raise Refused(f"the input {shown(port)} is missing")
        arrays[port.name] = _typed(port, feeds[port.name])
        for dim, size in zip(port.dims, _shape(port, arrays[port.name]), strict=True):
            if isinstance(dim, str) and is_symbol(dim):
                bindings.setdefault(dim, size)
    for port in metadata.inputs:
        _require_fixed(port, arrays[port.name])
        for dim, size in zip(port.dims, arrays[port.name].shape, strict=True):
            _fit(port, dim, size, bindings, metadata)
    return arrays


def shown(port: Port) -> str:
    """`tokens int[B, T]`, as a spec writes it."""
    return f"{port.name} {'' if port.dtype == 'float' else port.dtype}[{', '.join(map(str, port.dims))}]"


def _typed(port: Port, array: NDArray) -> NDArray:
    kinds = {"float": "fiu", "int": "iu", "bool": "b"}[port.dtype]
    if array.dtype.kind not in kinds:
        raise Refused(f"the input {shown(port)} was given {array.dtype}")
    if port.rows is not None and array.size and not 0 <= array.min() <= array.max() < port.rows:
        unfit = array[(array < 0) | (array >= port.rows)].flat[0]
        raise Refused(f"the input {shown(port)} was given {unfit:,}, and it takes 0 to {port.rows - 1:,}")
    beyond = first_beyond(array) if port.dtype == "int" else None
    if beyond is not None:
        raise Refused(f"the input {shown(port)} was given {told(beyond[1])}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, TYPES[port.dtype])


def _shape(port: Port, array: NDArray) -> tuple[int, ...]:
    if array.ndim != len(port.dims):
        message = f"the input {shown(port)} was given an array of shape {list(array.shape)}"
        raise Refused(message, _without_channels(port, array.shape) or form(port))
    return array.shape


def form(port: Port) -> str:
    """How examples of an input are given."""
    if len(port.dims) < 2:
        return "Give a list of numbers, one for each example."
    one = ", ".join(map(str, port.dims[1:]))
    return f"One example is [{one}], several are [N, {one}]: a pair of brackets for each axis."


def _without_channels(port: Port, given: tuple[int, ...]) -> str:
    """What is to be done with a picture, or with several, that lack the axis of channels; empty for anything else."""
    if len(port.dims) != 4 or port.dims[1] not in (1, 3) or given[-2:] != port.dims[2:]:
        return ""
    one = ", ".join(map(str, port.dims[1:]))
    if port.dims[1] == 3:
        return (
            f"One example is [{one}], a channel after the other: a gray one has three alike, numpy.stack([array] * 3)."
        )
    if len(given) == 2:
        return f"One example is [{one}], its channel first: a pair of brackets around all its rows, or array[None]."
    return f"Several are [N, {one}], channels first: a pair of brackets around the rows of each, or array[:, None]."


def _require_fixed(port: Port, array: NDArray) -> None:
    """Raises Refused for another size than the model is made for."""
    unfit = [
        (dim, size) for dim, size in zip(port.dims, array.shape, strict=True) if isinstance(dim, int) and dim != size
    ]
    if not unfit:
        return
    dim, size = unfit[0]
    if len(port.dims) == 2:
        raise Refused(f"a row has {size:,} numbers, and {port.name} takes {dim:,}")
    message = (
        f"the input {shown(port)} was given {list(array.shape[1:])} for an example: {size:,} where it takes {dim:,}"
    )
    if len(port.dims) == 4 and array.shape[1] != port.dims[1] == array.shape[-1]:
        raise Refused(message, "Channels come first: numpy.moveaxis(array, -1, -3), scaled as in training.")
    # Several pictures without the axis of channels are taken for one with that many.
    raise Refused(message, _without_channels(port, array.shape[1:]) if len(array) == 1 and len(unfit) == 1 else "")


def _fit(port: Port, dim: int | str, size: int, bindings: dict[str, int], metadata: Metadata) -> None:
    """Notes the size of a symbol that stands in an expression only. Raises Refused where a size does not fit."""
    given = f"the input {shown(port)} was given {size:,}"
    unbound = [symbol for symbol in symbols_of(dim) if symbol not in bindings]
    if len(unbound) > 1:
        return
    for symbol in unbound:
        found = solved(dim, size, symbol, bindings)
        if found is None:
            raise Refused(f"{given}, and no {symbol} makes {dim} equal to that")
        bindings[symbol] = found
    expected = evaluate(dim, bindings)
    if expected != size:
        raise Refused(f"{given} where {dim} is {expected:,}")
    for symbol in symbols_of(dim):
        broken = broken_bound(symbol, bindings[symbol], metadata.limits, metadata.least)
        if broken:
            raise Refused(f"{given} where {broken}")
