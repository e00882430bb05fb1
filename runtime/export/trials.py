"""On which inputs an exported model is tried: shapes at the edges and between them, and random values."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..dims import evaluate, symbols_of
from ..errors import Refused
from ..metadata import Metadata
from ..session import Arrays, shown
from ..settings import Port

Sizes = dict[str, int]

ALONE = (1, 3, 17)
"""Batches where nothing else is open."""

BATCHES = (1, 1, 3, 2, 17)
LENGTHS = (1, 77, 128, 5, 33)
PICTURES = (17, 33, 45, 21, 27)
"""About how many pixels a side has that is a symbol."""

FULL_LENGTH = 512
"""Up to this limit of a symbol the limit itself is tried too: beyond it one pass in fp64 takes too long."""


def trial_sizes(metadata: Metadata) -> list[Sizes]:
    """A size for every symbol of the inputs, several times: small ones, odd ones, the smallest and the largest allowed.

    A model of fixed dims has one shape only: it is tried that often on other values.
    """
    ports, limits = metadata.inputs, metadata.limits
    symbols = dict.fromkeys(symbol for port in ports for dim in port.dims for symbol in symbols_of(dim))
    if not symbols:
        return [{}] * len(BATCHES)
    batch = next((str(port.dims[0]) for port in ports if port.dims and port.dims[0] in symbols), None)
    others = [symbol for symbol in symbols if symbol != batch]
    if batch and not others:
        sizes = (_within(size, batch, metadata) for size in (*ALONE, _many(ports, batch)))
        return [{batch: size} for size in dict.fromkeys(sizes)]
    trials = []
    for turn, count in enumerate(BATCHES):
        sizes = {batch: count} if batch else {}
        sizes.update({symbol: _size(symbol, place, turn, ports) for place, symbol in enumerate(others)})
        trials.append({symbol: _within(size, symbol, metadata) for symbol, size in sizes.items()})
    small = {symbol: limits[symbol] for symbol in others if limits.get(symbol, FULL_LENGTH + 1) <= FULL_LENGTH}
    if small:
        trials.append({**trials[0], **small})
    return [sizes for place, sizes in enumerate(trials) if sizes not in trials[:place]]


def _within(size: int, symbol: str, metadata: Metadata) -> int:
    """A size counted from the least that a symbol may have where it is below that, and no larger than the limit."""
    least = metadata.least.get(symbol, 1)
    counted = size if size >= least else least - 1 + size
    return min(counted, metadata.limits.get(symbol, counted))


def random_inputs(metadata: Metadata, sizes: Mapping[str, int], ranges: Mapping[str, int], seed: int) -> Arrays:
    """Normal floats, ints below the entry of `ranges` for their input, and bools of which the first is true.

    Raises Refused for an int input that `ranges` says nothing of.
    """
    draw = np.random.default_rng(seed)
    arrays: Arrays = {}
    for port in metadata.inputs:
        shape = tuple(evaluate(dim, sizes) for dim in port.dims)
        if port.dtype == "float":
            arrays[port.name] = draw.standard_normal(shape, np.float32)
        elif port.dtype == "bool":
            arrays[port.name] = draw.random(shape) < 0.7
            arrays[port.name][..., :1] = True  # a mask that hides everything means nothing
        elif port.name in ranges:
            arrays[port.name] = draw.integers(0, ranges[port.name], shape)
        else:
            raise Refused(f"it is not known which numbers the input {shown(port)} may have, so nothing can be proved")
    return arrays


def _many(ports: tuple[Port, ...], batch: str) -> int:
    """A batch so large that hardly a unit stays silent: one that does hides what is wrong behind it.

    Of 8832 single weights of a trained perceptron, each with its sign turned, 602 went unseen in 21 examples and 35 in
    277 (most of these are too small to matter).
    """
    numbers = max(math.prod(evaluate(dim, {batch: 1}) for dim in port.dims) for port in ports)
    return min(256, max(ALONE[-1], (1 << 18) // max(1, numbers)))


def _size(symbol: str, place: int, turn: int, ports: tuple[Port, ...]) -> int:
    """Symbols differ from each other in every turn but the first, so that none is taken for another."""
    if not _is_side(symbol, ports):
        return 1 if turn == 0 else LENGTHS[1 + (turn - 1 + place) % (len(LENGTHS) - 1)]
    unit = min(
        evaluate(dim, dict.fromkeys(symbols_of(dim), 1))
        for port in ports
        for dim in port.dims
        if symbol in symbols_of(dim)
    )
    return max(1, PICTURES[(turn + place) % len(PICTURES)] // max(1, unit)) | 1


def _is_side(symbol: str, ports: tuple[Port, ...]) -> bool:
    """Whether a symbol is the side of a picture or of a volume, of which convolutions may need more than one."""
    return any(
        port.dtype == "float" and len(port.dims) >= 4 and any(symbol in symbols_of(dim) for dim in port.dims[2:])
        for port in ports
    )


def shown_sizes(sizes: Mapping[str, int]) -> str:
    """`B=3 T=128`"""
    return " ".join(f"{symbol}={size}" for symbol, size in sizes.items()) or "fixed"
