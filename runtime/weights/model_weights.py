"""The weights of a model, or of one of its modules, by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ..checkpoint import tensors_of


@dataclass(frozen=True)
class ModelWeights:
    """`tensors` has everything that a checkpoint holds under each of its names, seen from `into`; `first_names` leads
    from a name to the first one of the same weight. `copies` are the momentum copies by path, each with its module."""

    tensors: Mapping[str, Tensor]
    first_names: Mapping[str, str]
    copies: Mapping[str, str]

    @classmethod
    def of(cls, model: nn.Module, into: str | None, copies: Mapping[str, str]) -> ModelWeights:
        module = model if into is None else model.get_submodule(into)
        begin = "" if into is None else f"{into}."
        inside = {copy.removeprefix(begin): of for copy, of in copies.items() if copy.startswith(begin)}
        first = {id(tensor): name for name, tensor in tensors_of(module).items()}
        tensors = {name: t for name, t in module.state_dict(keep_vars=True).items() if id(t) in first}
        return cls(tensors, {name: first[id(tensor)] for name, tensor in tensors.items()}, inside)

    @property
    def own(self) -> list[str]:
        """A name for each weight."""
        return [name for name in self.tensors if self.first_names[name] == name]

    def follows(self, name: str, found: Collection[str]) -> bool:
        """Whether a weight is of a copy of which nothing was found: it becomes what its module is."""
        paths = [f"{copy}." for copy in self.copies if name.startswith(f"{copy}.")]
        return any(not any(other.startswith(path) for other in found) for path in paths)

    def names_of(self, first: str) -> list[str]:
        return [name for name, other in self.first_names.items() if other == first]
