"""Whether weights that have one name have one shape and one kind of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from .files import Stored, WeightFiles
from .model_weights import ModelWeights
from .renaming import Move

FLOATS = ("F64", "F32", "F16", "BF16")


def misfits(move: Move, files: WeightFiles, own: ModelWeights) -> Iterable[str]:
    """What of a move goes wrong by dtypes or shapes."""
    sources = [files.weights[name] for name in move.sources]
    targets = {name: tuple(own.tensors[name].shape) for name in move.targets}
    for one in sources:
        floating = own.tensors[move.targets[0]].is_floating_point()
        if (one.dtype in FLOATS) != floating or (not floating and one.dtype[0] not in "IU"):
            dtype = str(own.tensors[move.targets[0]].dtype).removeprefix("torch.")
            yield f"{one.name} is {one.dtype} in the file, and {move.targets[0]} is {dtype} in the model"
            return
    shapes = [_transposed(one.shape) if "transpose" in move.changes else one.shape for one in sources]
    if None in shapes:
        yield f"{sources[0].name} is {list(sources[0].shape)} in the file: `transpose` turns matrices"
        return
    whole = [shape for shape in shapes if shape is not None]
    if "reshape" in move.changes:
        yield from _reshaped(sources[0], targets)
    elif _stacked(whole) != _stacked(list(targets.values())):
        yield _shapes(sources, targets, move)


def _transposed(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    return shape[::-1] if len(shape) <= 2 else None


def _stacked(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The shape of matrices whose rows lie one below the other; None where they do not."""
    if len(shapes) == 1:
        return shapes[0]
    if any(not shape or shape[1:] != shapes[0][1:] for shape in shapes):
        return None
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def _reshaped(source: Stored, targets: Mapping[str, tuple[int, ...]]) -> Iterable[str]:
    ((name, shape),) = targets.items()
    there, here = prod(source.shape), prod(shape)
    if there != here:
        numbers = f"{there:,} numbers in the file, {list(source.shape)}"
        yield f"{source.name} has {numbers}, and {name} {here:,} in the model, {list(shape)}"


def _shapes(sources: Sequence[Stored], targets: Mapping[str, tuple[int, ...]], move: Move) -> str:
    there = " and ".join(f"{one.name} {list(one.shape)}" for one in sources)
    here = " and ".join(f"{name} {list(shape)}" for name, shape in targets.items())
    turned = " transposed" if "transpose" in move.changes else ""
    line = f"{there} of the file{turned} is not {here} of the model"
    if len(sources) > 1 or move.changes:
        return line
    first, whole = sources[0].shape, _stacked(list(targets.values()))
    if whole is not None and len(whole) == 2 and first == whole[::-1]:
        return f"{line}: `-> transpose ->` in its entry of `map` turns it"
    fits = len(targets) == 1 and whole is not None and prod(first) == prod(whole)
    return f"{line}: `-> reshape ->` in its entry of `map` does that" if fits else line
