"""What is drawn without a state: scattered numbers, permutations, the parts of a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlspec.runtime.data.draws import parts_of, permutation, scatter


def test_scatter_is_splitmix64() -> None:
    """The first numbers of the reference generator from state 1234567."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert scatter(1234567, np.arange(4, dtype=np.uint64)).tolist() == expected


@given(st.integers(0, 300), st.integers(0, 2**63))
def test_a_permutation_holds_everything_once(count: int, seed: int) -> None:
    assert sorted(permutation(seed, count).tolist()) == list(range(count))


@pytest.mark.parametrize(
    ("count", "split", "ends"),
    [
        (100, (0.29, 0.71), (29, 100)),
        (1_115_394, (0.9, 0.1), (1_003_854, 1_115_394)),
        (10, (0.55, 0.25), (5, 8)),
        (3, (1.0, 0.0), (3, 3)),
    ],
)
def test_parts_are_what_is_written(count: int, split: tuple[float, float], ends: tuple[int, int]) -> None:
    assert parts_of(count, split) == ends
