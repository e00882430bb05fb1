"""Where weights lie: in one safetensors file, in several with an index, or in a folder with either."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..durable import hash_file
from ..errors import Refused

MODEL = "model.safetensors"
INDEX = f"{MODEL}.index.json"
PICKLES = ("pytorch_model.bin", "model.bin", "model.pt", "model.pth")

# How files begin that torch.save writes: a zip archive, or a bare pickle.
_OF_TORCH_SAVE = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
CONVERT = (
    "Convert it where you trust it, since reading it runs what is in it: `torch.load(.., weights_only=True)`, then "
    "`safetensors.torch.save_file`."
)


@dataclass(frozen=True)
class Stored:
    """A weight as its file describes it: `dtype` in safetensors' words, `F32`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    file: Path


@dataclass(frozen=True)
class WeightFiles:
    """`shown` is what messages call them; `weights` what they hold, by name. Nothing but headers is read yet."""

    shown: str
    weights: Mapping[str, Stored]

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The sha256 of each file, by its name."""
        return {path.name: hash_file(path) for path in sorted({one.file for one in self.weights.values()})}

    def read(self, stored: Stored) -> Tensor:
        """Raises Refused."""
        try:
            with safe_open(stored.file, framework="pt") as file:
                return file.get_tensor(stored.name)
        except (SafetensorError, OSError) as error:
            raise _unreadable(stored.file, error) from None


def open_weights(path: Path, shown: str) -> WeightFiles:
    """The weights at `path`. Raises Refused for what is not there, no safetensors, or damaged."""
    if path.is_dir():
        inside = next((path / name for name in (MODEL, INDEX) if (path / name).is_file()), None)
        if inside is None:
            pickle = next((name for name in PICKLES if (path / name).is_file()), None)
            there = f"it has {pickle}, which is a pickle" if pickle else f"it has no {MODEL}"
            raise Refused(f"{shown} holds no weights: {there}", CONVERT if pickle else "Name the file itself.")
        path = inside
    if not path.is_file():
        help = "Paths are seen from the folder of the spec."
        raise Refused(f"{shown} is not there, and the training is to start from it", help)
    if path.suffix == ".json":
        return WeightFiles(shown, _weights_of_parts(path))
    return WeightFiles(shown, {one.name: one for one in _weights_of(path)})


def _weights_of(path: Path) -> Iterator[Stored]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  it is no dict
                part = file.get_slice(name)
                yield Stored(name, tuple(part.get_shape()), part.get_dtype(), path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from None


def _weights_of_parts(index: Path) -> dict[str, Stored]:
    """What an index tells of, each name in the part that it names."""
    places = _places(index)
    found: dict[str, Stored] = {}
    for name in parts_of(index):
        part = index.parent / name
        if not part.is_file():
            raise Refused(f"{part} is missing, and {index.name} names it", "Copy all parts beside the index.")
        found |= {one.name: one for one in _weights_of(part)}
    astray = [name for name, part in places.items() if name not in found or found[name].file.name != part]
    astray += [name for name in found if name not in places]
    if astray:
        message = f"{index} does not go with the parts beside it: they differ about {astray[0]}"
        raise Refused(message, "Copy index and parts again from where they are whole.")
    return found


def parts_of(index: Path) -> list[str]:
    """The files that an index names. Raises Refused where it is none."""
    return sorted(set(_places(index).values()))


def _places(index: Path) -> dict[str, str]:
    try:
        places: Any = json.loads(index.read_bytes())["weight_map"]
        # A part lies beside its index and nowhere else.
        if not all(isinstance(part, str) and Path(part).name == part for part in places.values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{index} is no index of weights in parts: it has no `weight_map` of names and files"
        raise Refused(message, f"Name a .safetensors file, or the {INDEX} beside its parts.") from None
    return dict(places)


def _unreadable(path: Path, error: Exception) -> Refused:
    # Only now: the length that a safetensors file begins with may look like a pickle.
    if not isinstance(error, OSError) and _begins_like_torch_save(path):
        return Refused(f"{path} is what torch.save writes, whatever its name says: a pickle", CONVERT)
    reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
    return Refused(f"{path} cannot be read as safetensors: {reason}", "Copy it again from where it is whole.")


def _begins_like_torch_save(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_OF_TORCH_SAVE)
