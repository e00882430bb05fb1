"""Values of `--set` stand in no item of the file: what is wrong with them is told all the same, whatever they are."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

SPECS = sorted((Path(__file__).parents[1] / "specs").glob("*.dlspec"))
KEYS = """
    data data.window data.split optimizer optimizer.lr batch steps epochs seed loss schedule precision kernels clip
    metrics init checkpoint validate
""".split()
VALUES = """40 -1 0 1e9 x foo(3) true none [1,2] "a" 5% relu AdamW(lr=1) data.x a.b Linear(3) 0.5 T vocab""".split()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_value_of_any_name_is_told_or_taken(seed: int) -> None:
    draw = random.Random(seed)
    refused = 0
    for _ in range(60):
        path = draw.choice(SPECS)
        text = path.read_text(encoding="utf-8")
        names = [*re.findall(r"^(\w+) *=", text, re.MULTILINE) * 2, *(f"train.{key}" for key in KEYS)]
        analysis = analyse(Source(str(path), text), [f"{draw.choice(names)}={draw.choice(VALUES)}"])
        refused += analysis.failed
    assert refused > 20
