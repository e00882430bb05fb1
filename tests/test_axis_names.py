"""An axis is called by the name of its dim, also behind a layer that gives the value another rank."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.compiler.semantics.number import number
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch


@pytest.mark.parametrize(
    "model",
    [
        "(x: int[B, T]) -> (y: [B, 8]) { Embedding(10, 8) -> mean(over = T) }",
        "(x: int[B, T]) -> (y: [B, T + 2, 8]) { Embedding(10, 8) -> pad(2, after = 0, over = T) -> roll(1, over = T) }",
        "(x: int[B, T]) -> (y: [B, 8]) { Embedding(10, 8) -> permute([0, 2, 1]) -> Conv1d(8, 3) -> mean(over = T) }",
        "(x: int[B, T]) -> (y: [B, 8]) { Embedding(10, 8) -> permute([0, 2, 1]) -> mean(over = T) }",
        "(x: [B, C, H, W]) -> (y: [B, H * W]) { reshape([-1, C, H * W]) -> mean(over = C) }",
    ],
)
def test_a_layer_of_another_rank_keeps_the_names_of_the_dims_that_it_keeps(model: str) -> None:
    assert analyse(Source("n.dlspec", f"dlspec 1\nmodel N: {model}\n")).diagnostics == []


def test_a_name_is_that_of_the_dim_itself_and_of_one_axis() -> None:
    batch, length = number(4), number(8)
    named = Tensor("float", (batch, length), ("B", "T"))
    assert Tensor("float", (batch, number(8), length)).named_like(named).axes == ("B", None, "T")
    assert Tensor("float", (batch, length, length)).named_like(named).axes == ("B", None, None)
