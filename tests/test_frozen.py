"""Fixed objects: what `@dataclass(frozen=True)` makes of a class, `Frozen` makes of it too."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from dlspec.grammar.frozen import Frozen

pytestmark = pytest.mark.no_torch


class Placed(Frozen):
    place: int = field(kw_only=True, compare=False, repr=False)


class Pair(Placed):
    left: int
    right: tuple[object, ...] = ()
    notes: list[str] = field(default_factory=list, compare=False)


class Single(Frozen, eq=False):
    value: int = 0


@dataclass(frozen=True)
class PlacedTwin:
    place: int = field(kw_only=True, compare=False, repr=False)


@dataclass(frozen=True)
class PairTwin(PlacedTwin):
    left: int
    right: tuple[object, ...] = ()
    notes: list[str] = field(default_factory=list, compare=False)


def test_it_is_equal_hashed_and_shown_as_a_dataclass_is() -> None:
    pair, twin = Pair(1, (2, "x"), place=5), PairTwin(1, (2, "x"), place=5)
    assert repr(pair) == repr(twin).replace("PairTwin", "Pair") == "Pair(left=1, right=(2, 'x'), notes=[])"
    assert hash(pair) == hash(Pair(1, (2, "x"), ["more"], place=6))
    assert pair == Pair(right=(2, "x"), left=1, place=6)
    assert pair != Pair(2, (2, "x"), place=5)
    assert pair != twin
    assert Pair.__match_args__ == PairTwin.__match_args__ == ("left", "right", "notes")
    match pair:
        case Pair(left, right):
            assert (left, right) == (1, (2, "x"))


def test_each_object_has_defaults_of_its_own() -> None:
    first, second = Pair(1, place=0), Pair(1, place=0)
    first.notes.append("mine")
    assert second.notes == []
    assert replace(first, left=3) == Pair(3, place=9)
    assert replace(first, left=3).notes is first.notes


def test_one_without_equality_is_equal_to_itself_alone() -> None:
    assert Single(1) != Single(1)
    assert len({Single(1), Single(1)}) == 2


def test_it_stays_as_it_was_made() -> None:
    pair = Pair(1, place=0)
    with pytest.raises(FrozenInstanceError):
        pair.left = 2  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(FrozenInstanceError):
        del pair.left  # pyright: ignore[reportAttributeAccessIssue]
    assert pair == Pair(1, place=0) == deepcopy(pair)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {"place": 0}),
        ((1,), {}),
        ((1, (), [], 2), {"place": 0}),
        ((1,), {"left": 1, "place": 0}),
        ((1,), {"middle": 1, "place": 0}),
    ],
)
def test_what_does_not_fit_makes_none(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Pair takes place, left, right, notes, each once"):
        Pair(*values, **named)
