"""Which columns of a table an input of a model is made of. A model that was trained keeps them with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .settings import Settings

if TYPE_CHECKING:
    from .data import Field


@dataclass(frozen=True)
class Columns:
    """The columns that an input is made of: several side by side, or, where it is not `stacked`, one as it is. `words`
    are the classes of one that holds words, in the order of their numbers."""

    names: tuple[str, ...]
    stacked: bool
    words: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """What `columns_from_json` reads."""
        words = {} if self.words is None else {"words": list(self.words)}
        return {"names": list(self.names), "stacked": self.stacked, **words}


def columns_from_json(stored: Mapping[str, Any]) -> Columns:
    """Raises KeyError or TypeError for anything else than what `Columns.to_json` gave."""
    words = stored.get("words")
    return Columns(tuple(stored["names"]), bool(stored["stacked"]), None if words is None else tuple(words))


def columns_of(settings: Settings, fields: Mapping[str, Field]) -> dict[str, Columns]:
    """The columns of each input of a model that learns from a table; none where it learns from anything else."""
    if settings.data["source"] != "table":
        return {}
    options = settings.data["options"]
    return {port.name: _columns(settings.bind[port.name], options, fields) for port in settings.inputs}


def _columns(name: str, options: Mapping[str, Any], fields: Mapping[str, Field]) -> Columns:
    features, target = options.get("features"), options.get("target")
    words = fields[name].names
    if name == "features" and features is not None:
        alone = isinstance(features, str)
        return Columns((features,) if alone else tuple(features), stacked=not alone)
    return Columns((target if name == "target" and target is not None else name,), stacked=False, words=words)
