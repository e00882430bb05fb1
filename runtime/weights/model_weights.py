"""The weights of a model, or of one of its modules, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ..checkpoint import tensors_of


@dataclass(frozen=True)
class ModelWeights:
    """`tensors` has everything that a checkpoint holds under each of its names, seen from `into`; `first_names` leads
    from a name to the first one of the same weight."""

    tensors: Mapping[str, Tensor]
    first_names: Mapping[str, str]

    @classmethod
    def of(cls, model: nn.Module, into: str | None) -> ModelWeights:
        module = model if into is None else model.get_submodule(into)
        first = {id(tensor): name for name, tensor in tensors_of(module).items()}
        tensors = {name: t for name, t in module.state_dict(keep_vars=True).items() if id(t) in first}
        return cls(tensors, {name: first[id(tensor)] for name, tensor in tensors.items()})

    @property
    def own(self) -> list[str]:
        """A name for each weight."""
        return sorted(set(self.first_names.values()), key=list(self.tensors).index)

    def names_of(self, first: str) -> list[str]:
        return [name for name, other in self.first_names.items() if other == first]
