"""What a weight of a file is called in the model."""

from __future__ import annotations

import pytest

from dlspec.runtime.weights.pattern import Pattern
from dlspec.runtime.weights.renaming import Move, read_entries, rename


@pytest.mark.parametrize(
    ("pattern", "name", "stars", "rest"),
    [
        ("h.*.ln_1", "h.11.ln_1.weight", ("11",), ".weight"),
        ("h.*.ln_1", "h.11.ln_1", ("11",), ""),
        ("wte", "wte.weight", (), ".weight"),
        ("layer*.*", "layer3.0.conv1.weight", ("3", "0"), ".conv1.weight"),
        ("h.*.ln_1", "h.11.ln_10.weight", None, None),
        ("h.*.ln_1", "h.0.attn.ln_1.weight", None, None),
        ("h.*.ln.1", "h.0.lnx1", None, None),
    ],
)
def test_what_a_pattern_matches(pattern: str, name: str, stars: tuple[str, ...] | None, rest: str | None) -> None:
    match = Pattern(pattern).match(name)
    assert (None if match is None else (match.stars, match.rest)) == (None if stars is None else (stars, rest))


def moves(names: str, *entries: tuple[list[str] | str, list[str] | str]) -> list[Move]:
    def listed(side: list[str] | str) -> list[str]:
        return [side] if isinstance(side, str) else side

    read = read_entries({"old": listed(old), "changes": [], "new": listed(new)} for old, new in entries)
    return list(rename(names.split(), read).moves)


def test_a_name_without_an_entry_is_its_own() -> None:
    assert moves("a.weight b.weight", ("a", "c")) == [
        Move(("a.weight",), ("c.weight",)),
        Move(("b.weight",), ("b.weight",)),
    ]


def test_the_entry_that_says_more_wins_whatever_the_order() -> None:
    entries = [("h.*", "blocks.*"), ("h.*.ln.gamma", "blocks.*.norm.weight"), ("h.0", "first")]
    for order in (entries, entries[::-1]):
        assert moves("h.1.ln.gamma h.1.fc h.0.fc", *order) == [
            Move(("h.1.ln.gamma",), ("blocks.1.norm.weight",)),
            Move(("h.1.fc",), ("blocks.1.fc",)),
            Move(("h.0.fc",), ("first.fc",)),
        ]


def test_stars_keep_their_order() -> None:
    assert moves("layer3.0.conv1.weight", ("layer*.*.conv*", "stage*.blocks.*.c*")) == [
        Move(("layer3.0.conv1.weight",), ("stage3.blocks.0.c1.weight",))
    ]


def test_several_names_on_a_side() -> None:
    assert moves("h.0.qk.weight h.0.qk.bias", ("h.*.qk", ["b.*.q", "b.*.k"])) == [
        Move(("h.0.qk.weight",), ("b.0.q.weight", "b.0.k.weight")),
        Move(("h.0.qk.bias",), ("b.0.q.bias", "b.0.k.bias")),
    ]
    assert moves("h.0.k.weight h.0.q.weight", (["h.*.q", "h.*.k"], "b.*.qk")) == [
        Move(("h.0.q.weight", "h.0.k.weight"), ("b.0.qk.weight",))
    ]


def test_what_is_to_be_joined_and_is_not_there_is_told() -> None:
    entries = read_entries([{"old": ["q", "k"], "changes": [], "new": ["qk"]}])
    assert rename(["q.weight"], entries).lacking == (("q.weight", "k.weight"),)
