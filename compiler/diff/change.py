"""What a comparison finds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Section: TypeAlias = Literal["constants", "ports", "model", "train", "export"]
Kind: TypeAlias = Literal[
    "value",
    "name",
    "added",
    "removed",
    "renamed",
    "placement",
    "type",
    "copies",
    "option",
    "shape",
    "tie",
    "function",
    "wiring",
    "order",
    "not-compared",
]


@dataclass(frozen=True)
class Change:
    """One difference. `owner` is the model or recipe, `place` where in it; `text` says it to people.

    `follows` where it comes with another change: the width of a layer with the constant that it is made from.
    `places` is at how many places of a `repeat` it is found; `place` then has a * for the copy.
    """

    section: Section
    owner: str
    place: str
    kind: Kind
    before: str | None
    after: str | None
    text: str
    follows: bool = False
    places: int = 1


def turned(
    section: Section, owner: str, place: str, kind: Kind, before: str, after: str, follows: bool = False
) -> Change:
    """A change that is told by both sides, each in parentheses where they have arrows of their own."""
    one, other = (f"({side})" if " -> " in before + after else side for side in (before, after))
    return Change(section, owner, place, kind, before, after, f"{one} -> {other}", follows)


def together(changes: Iterable[Change]) -> list[Change]:
    """The same change in several copies of a `repeat`, told once."""
    found: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        key = (change.section, change.owner, _anywhere(change.place), change.kind, change.text, change.follows)
        found.setdefault(key, []).append(change)
    return [
        replace(same[0], place=_anywhere(same[0].place), places=len(same)) if len(same) > 1 else same[0]
        for same in found.values()
    ]


def _anywhere(place: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", place)
