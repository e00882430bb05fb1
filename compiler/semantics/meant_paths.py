"""What a name or path of `--set` was meant to be that leads nowhere: the way into the recipe that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from ...grammar import tree
from ..training.language import ELSEWHERE
from .language import TRAIN_KEYS, TRAIN_SPELLINGS

_NUMBERS = frozenset("steps epochs batch accumulate clip clip_value seed".split())
"""Keys that take a number under any name that other tools have for them."""
INSTEAD = {"steps": "epochs", "epochs": "steps", "clip": "clip_value", "clip_value": "clip"}
"""Keys of which a recipe has one -> the other."""


def way_into_recipe(file: tree.File, parts: Sequence[str], value: str, *, exactly: bool = False) -> str:
    """The `--set` that leads from `batch`, `optimizer.lr`, `lr` or `judge.times` to where the recipes have it; empty
    where none does. `exactly` takes nothing for it but a key's own name."""
    recipes = [item for item in file.items if isinstance(item, tree.Train)]
    keys = {line.name.text for recipe in recipes for line in recipe.body.lines if isinstance(line, tree.Binding)}
    phases = {line.name.text for recipe in recipes for line in recipe.body.lines if isinstance(line, tree.Phase)}
    names = {name.text for recipe in recipes for name in (recipe.model, recipe.recipe) if name is not None}
    first, *rest = parts
    if first == "train" and rest:
        first, *rest = rest
    if rest and (first in names or (first in ("phase", "phases") and rest[0] in phases)):
        first, *rest = rest
    elsewhere = ELSEWHERE.get(first)
    if first in TRAIN_KEYS or (first in phases and rest):
        path = [first, *(_option(first, name) for name in rest)]
    elif exactly or not recipes:
        return ""
    elif TRAIN_SPELLINGS.get(first) in _NUMBERS and not rest:
        path = [TRAIN_SPELLINGS[first]]
    elif elsewhere is not None and elsewhere.name and elsewhere.key in keys and not rest:
        path = [elsewhere.key, elsewhere.name]
    elif elsewhere is not None and elsewhere.alone and elsewhere.key not in keys and not rest:
        return _set([elsewhere.key], elsewhere.alone.format(value))
    else:
        return ""
    if not recipes or (len(path) > 1 and path[0] not in keys | phases):
        return ""
    return in_place_of(path[0], value) if len(path) == 1 and INSTEAD.get(path[0]) in keys else _set(path, value)


def in_place_of(key: str, value: str) -> str:
    """What sets a key where the recipe has the other one that says the same."""
    return f"--set train.{INSTEAD[key]}=none {_set([key], value)}"


def _option(key: str, name: str) -> str:
    """`lr` for `optimizer.learning_rate`."""
    elsewhere = ELSEWHERE.get(name)
    return elsewhere.name if elsewhere is not None and elsewhere.key == key and elsewhere.name else name


def _set(path: Sequence[str], value: str) -> str:
    text = f"train.{'.'.join(path)}={value}"
    return f"--set {quote(text)}"
