"""What variants of kernels have alike stands once in a file, however its lines are broken, and nothing else goes."""

from __future__ import annotations

import pytest
import torch
from triton_files import always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.compiler.backends.triton.merge import alike, without

FIRST = '''\
WIDTH = constant(64)
PADDED = constant(64)
HALF = constant(0.5)
"""Of one."""


# What follows is
# said in two lines.
def tile(x):
    """[rows, WIDTH]"""
    return load(
        x, WIDTH
    )


TABLE = {2: (64, 4)}


def launch_tile(x):
    return tile[TABLE[2]](x)


operator(
    "tile(Tensor x) -> Tensor",
    launch_tile,
)


def model(x):
    return operators.tile(x)
'''
SECOND = (
    FIRST.replace("tile(", "tile_2(")
    .replace("operators.tile_2(", "operators.tile_2(")
    .replace("tile[", "tile_2[")
    .replace("launch_tile,", "launch_tile_2,")
    .replace("WIDTH", "WIDTH_2")
    .replace("PADDED", "PADDED_2")
    .replace("HALF", "KIND_HALF_2")
    .replace("TABLE", "TABLE_2")
    .replace("model", "model_2")
    .replace("is\n# said in two lines.", "is said in\n# two lines.")
    .replace("load(\n        x, WIDTH_2\n    )", "load(x, WIDTH_2)")
)


def test_all_of_a_second_variant() -> None:
    found = alike([FIRST, SECOND], {"model", "model_2"})
    assert found.gone == ((False,) * 8, (True,) * 7 + (False,))
    assert found.instead == {
        "WIDTH_2": "WIDTH",
        "PADDED_2": "PADDED",
        "KIND_HALF_2": "HALF",
        "tile_2": "tile",
        "TABLE_2": "TABLE",
        "launch_tile_2": "launch_tile",
        "operators.tile_2": "operators.tile",
    }
    assert without(SECOND, found.gone[1]).strip() == "def model_2(x):\n    return operators.tile_2(x)"


def test_what_models_call_stays() -> None:
    found = alike([FIRST, SECOND.replace("model_2", "other")], {"model"})
    assert found.gone[1] == (True,) * 8 and found.instead["other"] == "model"


def test_kernels_that_differ_keep_their_tables_and_what_launches_them() -> None:
    second = SECOND.replace("load(x, WIDTH_2)", "load(x, 2 * WIDTH_2)")
    found = alike([FIRST, second], {"model", "model_2"})
    assert found.gone[1] == (True, True, True, *(False,) * 5)


def test_the_shortest_name_stays() -> None:
    first = "def norm_kept(x):\n    return x\n\n\ndef f(x):\n    return norm_kept(x)\n"
    found = alike([first, "def kept(x):\n    return x\n"], set())
    assert found.gone == ((False, False), (True,)) and found.instead == {"norm_kept": "kept"}


def test_lines_between_statements_stay() -> None:
    text = "\nA = 1\nB = 2\n\n\ndef f():\n    pass\n"
    assert without(text, (True, False, False)) == "\nB = 2\n\n\ndef f():\n    pass\n"
    assert without(text, (False, False, True)) == "\nA = 1\nB = 2\n"


TWICE = """dlspec 1
model Net: (x: [B, T <= 16, 32], real: bool[B, T]) -> (y: [B, T, 32]) {
  x -> residual(pre = LayerNorm) { SelfAttention(2) }
  residual(pre = LayerNorm) { SelfAttention(2, rotary = 10_000) }
  residual(post = LayerNorm) { SelfAttention(2, mask = real) }
}
"""


def test_models_run_what_stands_once(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Two attentions of the same kernels, whose gradients come back in other ways, and one with a mask."""
    artefact = compiled(TWICE)
    text = artefact.kernels["net_kernels.py"]
    assert text.count("def attention_forward_2(") == 0 and text.count("def attention_forward_3(") == 1
    assert text.count("def attention_2(") == text.count("def attention_3(") == 1 and "ATTENTION_FORWARD_3" in text
    hold_to_ruff(artefact.files, tmp_path)  # type: ignore[arg-type]
    with interpreting():
        module, kernels = loaded(artefact)
        model = module.Net()
        x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(0))
        real = torch.arange(9)[None].expand(2, -1) < torch.tensor([[9], [4]])
        leaves = [*model.parameters()]
        want = torch.autograd.grad(model(x, real).pow(3).sum(), leaves)
        monkeypatch.setattr(kernels, "fused", always)
        for a, b in zip(want, torch.autograd.grad(model(x, real).pow(3).sum(), leaves), strict=True):
            torch.testing.assert_close(b, a, atol=1e-3, rtol=1e-4)
