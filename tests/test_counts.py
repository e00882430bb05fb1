"""How many of something a spec may ask for: what is made one by one has an end, and what is run is run."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch


def messages(body: str) -> list[str]:
    text = f"dlspec 1\nmodel N: (x: [B, T, 8]) -> (y: [B, T, 8]) {{ {body} }}\n"
    return [found.message for found in analyse(Source("n.dlspec", text)).diagnostics]


@pytest.mark.parametrize("layer", ["RNN", "LSTM", "GRU"])
def test_layers_of_a_recurrent_net_have_an_end(layer: str) -> None:
    said = "`layers` takes a whole number from 1 to 10_000"
    assert messages(f"{layer}(8, layers = 100_000_000)") == [said]
    assert messages(f"{layer}(8, layers = 10_001)") == [said]
    assert messages(f"{layer}(8, layers = 10_000)") == []


def test_parts_of_a_split_have_an_end() -> None:
    wide = "Linear(COUNT) -> split(COUNT) -> concat -> Linear(8)"
    assert messages(wide.replace("COUNT", "1_000_000")) == ["`n` takes a whole number from 1 to 10_000"]
    assert messages(wide.replace("COUNT", "10_000")) == []


def test_what_is_shared_runs_once_at_least() -> None:
    assert messages("share(0) { Linear(8) }") == ["`n` of `share` takes a whole number of at least 1"]
    assert messages("share(1) { Linear(8) }") == []
