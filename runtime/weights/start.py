"""What a training starts from: the files of `start`, and what of them goes where in the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Refused
from .families import find_family
from .family import Family
from .files import Stored, WeightFiles, open_weights
from .fit import Fit, fit_weights
from .hub import model_type, open_hub
from .model_weights import ModelWeights
from .renaming import Move, Renamed, read_entries
from .skip import Skip

NONE: Mapping[str, str] = MappingProxyType({})
# What the dtypes are called that numbers of a model may be taken from.
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class StartingWeights:
    """Opened and not read. `files` are found to be whole; `fill` finds out whether they fit the model."""

    word: str
    files: WeightFiles
    entries: tuple[Renamed, ...]
    skip: tuple[Skip, ...]
    into: str | None
    family: Family | None

    def provenance(self) -> dict[str, Any]:
        """What the manifest of a run says of it: the sha256 of each file."""
        return {"word": self.word, "source": self.files.shown, "files": dict(self.files.hashes)}

    def fit(self, model: nn.Module, copies: Mapping[str, str] = NONE) -> Fit:
        """Where everything goes; `copies` are the model's momentum copies. Raises Refused where something of the files
        is not used, or of the model not found."""
        own = ModelWeights.of(model, self.into, copies)
        return fit_weights(self.files, own, self.entries, self.skip, self.family)

    def fill(self, model: nn.Module, copies: Mapping[str, str] = NONE) -> tuple[str, ...]:
        """Put the weights in, and make copies that the files know nothing of equal to their modules; returns what there
        is to say of it. Raises Refused as `fit` does."""
        own, fit = ModelWeights.of(model, self.into, copies), self.fit(model, copies)
        filled: dict[str, str] = {}
        with torch.no_grad():
            for move in fit.moves:
                for target, tensor in self._moved(move, own):
                    if target not in fit.kept:
                        self._put(own, target, tensor, move, filled)
        begin = "" if self.into is None else f"{self.into}."
        _let_copies_follow(model, copies, [f"{begin}{name}" for name in filled])
        return tuple(self._notes(fit))

    def _moved(self, move: Move, own: ModelWeights) -> list[tuple[str, Tensor]]:
        tensors = [self.files.read(self.files.weights[source]) for source in move.sources]
        if "transpose" in move.changes:
            tensors = [tensor.mT if tensor.ndim == 2 else tensor for tensor in tensors]
        if "reshape" in move.changes:
            tensors = [tensor.reshape(own.tensors[move.targets[0]].shape) for tensor in tensors]
        if len(move.targets) == 1:
            return [(move.targets[0], tensors[0] if len(tensors) == 1 else torch.cat(tensors))]
        rows = [own.tensors[target].shape[0] for target in move.targets]
        return list(zip(move.targets, tensors[0].split(rows), strict=True))

    def _put(self, own: ModelWeights, target: str, tensor: Tensor, move: Move, filled: dict[str, str]) -> None:
        """Where several names are one weight (`weight = wte.weight`), all of them have to say the same."""
        name, source = own.first_names[target], " and ".join(move.sources)
        tensor = tensor.to(own.tensors[name].dtype)
        odd = (~torch.isfinite(tensor)).nonzero()
        if len(odd):
            facts = f"{source} of {self.files.shown} holds numbers that are not finite as float32: {len(odd):,} of them"
            place = f", the first at {odd[0].tolist()} of {name}" if tensor.ndim else ""
            raise Refused(
                facts + place, "Save the weights anew from where they are sound, or leave it out with `skip`."
            )
        if name in filled and not torch.equal(own.tensors[name].cpu(), tensor):
            message = (
                f"{filled[name]} and {source} of {self.files.shown} differ, and are one weight in the model: {name}"
            )
            raise Refused(message, "Give each a weight of its own in the model, or leave one out with `skip`.")
        own.tensors[name].copy_(tensor)
        filled[name] = source

    def _notes(self, fit: Fit) -> list[str]:
        used: list[Stored] = [self.files.weights[source] for move in fit.moves for source in move.sources]
        said = [f"{len(used)} weights are those of {self.files.shown}"]
        others = sorted({DTYPES[one.dtype] for one in used if one.dtype in DTYPES and one.dtype != "F32"})
        if others:
            said.append(f"they are {' and '.join(others)} there, and kept as float32")
        drawn = [*fit.drawn, *([] if self.into is None else [f"all outside {self.into}"])]
        if drawn:
            said.append(f"drawn as ever: {', '.join(drawn)}")
        return ["; ".join(said)]


def _let_copies_follow(model: nn.Module, copies: Mapping[str, str], filled: Sequence[str]) -> None:
    """Momentum copies begin as their modules do, but for those that have weights of their own in the files."""
    for copy, of in copies.items():
        if not any(name.startswith(f"{copy}.") for name in filled):
            model.get_submodule(copy).load_state_dict(model.get_submodule(of).state_dict())


def open_start(settings: Mapping[str, Any], base: Path) -> StartingWeights:
    """The files that the `start` of settings names; paths are seen from `base`. Raises Refused."""
    word, source = settings["word"], settings["source"]
    entries, family = read_entries(settings["map"]), None
    if word == "hub":
        files = open_hub(source, base)
        if not entries:
            family = find_family(model_type(source, base))
            entries = family.entries if family is not None else ()
    else:
        files = open_weights(base / source, source)
    skip = tuple(Skip(one["name"], pattern=one["pattern"]) for one in settings["skip"])
    return StartingWeights(word, files, entries, skip, settings["into"], family)
