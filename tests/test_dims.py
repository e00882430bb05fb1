"""Dims of a model as they are computed where it runs: formulas of symbols, and nothing else."""

from __future__ import annotations

import pytest

from dlspec.runtime.dims import evaluate, symbols_of
from dlspec.runtime.errors import RuntimeFault


@pytest.mark.parametrize(
    ("dim", "value", "symbols"),
    [
        (7, 7, ()),
        ("T", 10, ("T",)),
        ("16 * H", 48, ("H",)),
        ("(T + H) // 2 - 1", 5, ("T", "H")),
        ("2 ^ H", 8, ("H",)),
        ("round_up(T, 64)", 64, ("T",)),
        ("-H + T % 4", -1, ("H", "T")),
        ("max(T, 4 * H)", 12, ("T", "H")),
    ],
)
def test_dims_are_computed(dim: int | str, value: int, symbols: tuple[str, ...]) -> None:
    assert evaluate(dim, {"T": 10, "H": 3}) == value
    assert symbols_of(dim) == symbols


@pytest.mark.parametrize("dim", ["__import__('os')", "T.real", "[1]", "T if H else 1", "1.5", "T +"])
def test_a_dim_is_no_program(dim: str) -> None:
    with pytest.raises(RuntimeFault, match="is no dim"):
        evaluate(dim, {"T": 1, "H": 1})
