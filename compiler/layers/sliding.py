"""What layers share that slide a window over pictures: the axes behind the channels, options for each, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..semantics.arithmetic import spell
from ..semantics.bounds import at_bounds, limit
from ..semantics.number import Number, Reference, number, whole, written
from ..semantics.tensor import Tensor
from .base import Code, ShapeFault

_PICTURES = {1: "[B, C, T]", 2: "[B, C, H, W]", 3: "[B, C, D, H, W]"}


def check_picture(word: str, x: Tensor, axes: int | None = None) -> int:
    """How many axes lie behind the channels of `x`; `axes` says how many there must be.

    Raises ShapeFault where `x` is no batch of floats with channels and so many axes, or with one to three.
    """
    if x.dtype != "float":
        raise ShapeFault(f"{word} takes float, and {x} comes in", "an Embedding makes vectors of whole numbers")
    wanted = _PICTURES[axes] if axes else f"{_PICTURES[1]}, {_PICTURES[2]} or {_PICTURES[3]}"
    ranks = {axes} if axes else set(_PICTURES)
    if x.rank - 2 not in ranks:
        help = "the first axis is the batch, the second the channels"
        if x.rank - 1 in ranks:
            with_channels = [x.dims[0], number(1), *x.dims[1:]]
            help += f": `reshape([{', '.join(map(written, with_channels))}])` before it makes one channel"
        raise ShapeFault(f"{word} takes {wanted}, and {x} comes in", help)
    return x.rank - 2


def check_channels(word: str, x: Tensor) -> Number:
    """The channels of `x`, axis 1. Raises ShapeFault where their number is open."""
    channels = x.dims[1]
    if channels.value is None:
        raise ShapeFault(
            f"{word} needs to know how many channels there are, and axis 1 of {x} is open",
            "its weights are made when the model is built: write a number or a constant there",
        )
    return channels


def per_axis(word: str, option: str, value: Number | Sequence[Number], axes: int) -> tuple[Number, ...]:
    """The values of an option for each of so many axes. Raises ShapeFault where a list has another length."""
    if not isinstance(value, tuple):
        return (value,) * axes  # type: ignore[return-value]
    if len(value) != axes:
        raise ShapeFault(
            f"`{option}` lists {len(value)} numbers, and {word} acts on {axes} {'axes' if axes > 1 else 'axis'}",
            "write one number for all axes, or one an axis",
            option,
        )
    return value


def check_fits(word: str, x: Tensor, windows: Sequence[int], pads: Sequence[int], option: str) -> None:
    """Raises ShapeFault where a window is wider than a padded axis, or than its bounds let an open one be."""
    for axis, (window, pad) in enumerate(zip(windows, pads, strict=True), 2):
        length = x.dims[axis]
        sizes = (at_bounds(length, "least"), at_bounds(length, "most"))
        size = next((size for size in sizes if size is not None and size + 2 * pad < window), None)
        if size is None:
            continue
        help = "take a smaller window, or more `pad`"
        if length.value is not None:
            what = f"is {written(length)}"
        else:
            what = f"may be {spell(size)}"
            if isinstance(length, Reference) and (limit(length) or window) >= window - 2 * pad:
                help = f"write `{length.name} >= {window - 2 * pad}` in the input of the model; or {help}"
        padded = f" and the padding {2 * pad}" if pad else ""
        raise ShapeFault(
            f"the window of {word} is {window} wide, and axis {axis} of {x} {what}{padded}",
            help,
            option,
        )


def spelled_out(value: Number | Sequence[Number], write: Callable[[Number], str]) -> str:
    """An option as Python: a number, or a tuple of one an axis."""
    if isinstance(value, tuple):
        inside = ", ".join(map(write, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return write(value)  # type: ignore[arg-type]


def keyword(name: str, value: Number | Sequence[Number], usual: int, code: Code) -> str:
    """`, name=value`, or nothing where that is what PyTorch takes anyway."""
    values: Sequence[Number] = value if isinstance(value, tuple) else (value,)  # type: ignore[assignment]
    return "" if all(v.value == usual for v in values) else f", {name}={spelled_out(value, code.number)}"


def wholes(values: Sequence[Number]) -> list[int]:
    return [whole(value) for value in values]
