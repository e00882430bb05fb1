"""What TorchScript wants of emitted code, in the places where Python wants less."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

BODIES = {
    "a result that nobody reads, and a loop": ("[B, 5, 8]", "GRU(8) -> share(2) { Linear(8) }", "[B, 5, 8]"),
    "a loop over what only trains": ("[B, 8]", "share(2) { Dropout(0.1) } -> Linear(8)", "[B, 8]"),
    "a whole number for a float": ("[B, 3, 8, 8]", "pad(1, value = -1)", "[B, 3, 10, 10]"),
    "one part": ("[B, 8]", "split(1) -> concat -> Linear(8)", "[B, 8]"),
    "a division that keeps whole numbers": ("[B, 8]", "Linear(8) -> identity // 0.5", "[B, 8]"),
}


@pytest.mark.parametrize(("comes", "body", "goes"), BODIES.values(), ids=BODIES)
def test_it_is_scripted_and_gives_the_same(comes: str, body: str, goes: str) -> None:
    spec = f"dlspec 1\nmodel M: (x: {comes}) -> (y: {goes}) {{\n  {body}\n}}\n"
    artefact = compile(Source("m.dlspec", spec))
    model: Any = load_text("m", artefact.model_code).M()  # type: ignore[attr-defined]
    model.init_weights(torch.Generator().manual_seed(0))
    x = torch.randn([3, *map(int, comes.strip("[]").split(", ")[1:])])
    x.requires_grad_()
    model(x).sum().backward()
    assert x.grad is not None
    exported: Any = load_text("e", artefact.export_code).M()  # type: ignore[attr-defined]
    exported.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(torch.jit.script(exported.eval())(x), model.eval()(x))
