"""Emitted models as PyTorch users will treat them: on meta, copied, cast, compiled, scripted, formatted, exported."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

SPECS = Path(__file__).parent / "specs"
WIDE = (SPECS / "wide.dlspec").read_text(encoding="utf-8")
BLOCKS = (SPECS / "blocks.dlspec").read_text(encoding="utf-8")


def emit(text: str) -> Artefact:
    return compile(Source("wide.dlspec", text))


def made(artefact: Artefact, code: str | None = None, seed: int = 0) -> Any:
    module = load_text(artefact.name, code or artefact.model_code)
    with torch.device("meta"):
        model = getattr(module, artefact.graph.model.name)()
    model.to_empty(device="cpu")
    model.init_weights(torch.Generator().manual_seed(seed))
    return model


def inputs(batch: int, length: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(batch * 100 + length)
    return torch.randint(100, (batch, length), generator=g), torch.randn(batch, 3, 8, 8, generator=g)


@pytest.fixture(scope="module")
def wide() -> Artefact:
    return emit(WIDE)


def test_initial_weights_are_drawn_by_the_generator_alone(wide: Artefact) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, two, other = made(wide), made(wide), made(wide, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b, c in zip(one.named_parameters(), two.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert a.isfinite().all(), name
        drawn = a.ndim >= 2
        assert not drawn or not torch.equal(a, c), name


def test_a_new_model_works_before_its_weights_are_drawn_again(wide: Artefact) -> None:
    """What is in no checkpoint, such as a rotary's tables, has to be there without `init_weights`."""
    trained = made(wide).eval()
    fresh = load_text(wide.name, wide.model_code).Net().eval()  # type: ignore[attr-defined]
    assert all(tensor.isfinite().all() for tensor in (*fresh.parameters(), *fresh.buffers()))
    fresh.load_state_dict(trained.state_dict())
    for a, b in zip(trained(*inputs(2, 9)), fresh(*inputs(2, 9)), strict=True):
        assert torch.equal(a, b)


def test_a_tied_weight_is_one_tensor_after_to_empty_and_moves_together(wide: Artefact) -> None:
    model = made(wide)
    assert model.head.weight is model.tok.weight
    twin = copy.deepcopy(model)
    assert twin.head.weight is twin.tok.weight
    assert len(list(model.parameters())) == len(list(model.state_dict())) - 1


def test_deepcopy_bfloat16_autocast_and_double_run(wide: Artefact) -> None:
    model = made(wide).eval()
    tokens, image = inputs(2, 9)
    logits, pooled = model(tokens, image)
    for other in copy.deepcopy(model)(tokens, image):
        assert other.isfinite().all()
    exact = copy.deepcopy(model).double()(tokens, image.double())
    assert (exact[0] - logits).abs().max() < 1e-4 * exact[0].abs().max()
    half = copy.deepcopy(model).to(torch.bfloat16)
    assert half.blocks[0].attn.rotary.cos.dtype == torch.float32
    assert torch.equal(half.blocks[0].attn.rotary.cos, model.blocks[0].attn.rotary.cos)
    assert half(tokens, image.bfloat16())[0].dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert (model(tokens, image)[1] - pooled).abs().max() < 0.1


def test_scripted_and_eager_agree_at_every_length(wide: Artefact) -> None:
    model = made(wide).eval()
    exported = made(wide, wide.export_code).eval()
    exported.load_state_dict(model.state_dict(), strict=True)
    assert "Dropout" not in wide.export_code
    scripted = torch.jit.script(exported)
    for batch, length in ((1, 1), (2, 9), (3, 64)):
        for a, b in zip(model(*inputs(batch, length)), scripted(*inputs(batch, length)), strict=True):
            assert torch.equal(a, b)


@pytest.mark.slow
def test_compiled_without_a_graph_break_and_equal_to_eager(wide: Artefact) -> None:
    model = made(wide).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for a, b in zip(model(*inputs(2, 9)), compiled(*inputs(2, 9)), strict=True):
        torch.testing.assert_close(a, b)


def test_the_file_is_clean_under_ruffs_defaults(wide: Artefact, tmp_path: Path) -> None:
    for name, text in {"wide.py": wide.model_code, "wide_export.py": wide.export_code}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check", "--diff"]):
        run = [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)]
        result = subprocess.run(run, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_blocks_of_every_kind_run_as_pytorch_torchscript_and_onnx(tmp_path: Path) -> None:
    artefact = emit(BLOCKS)
    test_the_file_is_clean_under_ruffs_defaults(artefact, tmp_path)
    model = made(artefact).eval()
    cases = [(torch.randn(b, t, 16, generator=torch.Generator().manual_seed(t)),) for b, t in ((1, 1), (2, 5), (3, 8))]
    scripted = torch.jit.script(made(artefact, artefact.export_code).eval())
    scripted.load_state_dict(model.state_dict())
    for case in cases:
        assert torch.equal(model(*case), scripted(*case))
    _compare_onnx(artefact, model, cases, ["x"])


def test_onnx_runtime_agrees(wide: Artefact) -> None:
    model = made(wide).eval()
    _compare_onnx(wide, model, [inputs(*shape) for shape in ((1, 1), (2, 9), (3, 64))], ["tokens", "image"])


def _compare_onnx(artefact: Artefact, model: nn.Module, cases: list[tuple[Tensor, ...]], names: list[str]) -> None:
    import onnx_ir
    import onnxruntime

    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    proto = onnx_ir.to_proto(build(artefact.graph, weights, metadata={}))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for case in cases:
        feeds = {name: x.numpy() for name, x in zip(names, case, strict=True)}
        with torch.no_grad():
            expected = model(*case)
            exact = copy.deepcopy(model).double()(*(x.double() if x.is_floating_point() else x for x in case))
        expected, exact = (x if isinstance(x, tuple) else (x,) for x in (expected, exact))
        for a, b, r in zip(session.run(None, feeds), expected, exact, strict=True):
            bound = 4 * (b - r).abs().max() + 1e-5 * r.abs().max()
            assert np.abs(a - r.numpy()).max() <= bound.item()


# --- random stacks ---------------------------------------------------------------------------------------------

STAGES = st.sampled_from(
    [
        "Linear({w})",
        "Linear({w}, bias = false)",
        "LayerNorm",
        "RMSNorm",
        "relu",
        "gelu",
        "silu -> tanh",
        "Dropout(0.2)",
        "(a{n}: Linear({w}) -> sigmoid) * b{n}: Linear({w})",
        "identity + c{n}: Linear(24)",
        "residual {{ Linear(24) -> relu -> Linear(24) }}",
        "residual(pre = RMSNorm) {{ d{n}: Linear(24) }}",
        "residual(post = LayerNorm, drop = 0.1) {{ e{n}: SelfAttention(4, causal = true) }}",
        "residual(pre = LayerNorm, out = RMSNorm) {{ f{n}: SelfAttention(4, rotary = 100, bias = false) }}",
        "g{n}: {{ Linear(24) -> gelu }}",
        "repeat(2) {{ Linear(24) -> relu }}",
        "h{n}: repeat(2, index = i) {{ Linear(24) -> leaky_relu(0.1 + i / 10) }}",
        "Linear(48) -> split(2) as l{n}, r{n}\n  l{n} * r{n} -> Linear(24)",
        "flow{n} = Linear(24) -> tanh\n  flow{n} -> flow{n}",
        "-identity",
        "2 * identity - 1",
    ]
)


@settings(max_examples=25)
@given(st.lists(STAGES, min_size=1, max_size=6), st.sampled_from([24, 12]))
def test_random_stacks_emit_clean_code_that_onnx_runtime_agrees_with(stages: list[str], width: int) -> None:
    body = "\n  ".join(
        # Each stage starts and ends 24 wide, so that any order fits.
        ("(" + s + ")" if s.startswith("-") else s).format(n=n, w=width) + ("\n  Linear(24)" if "{w}" in s else "")
        for n, s in enumerate(stages)
    )
    text = f"dlspec 1\nmodel Net: (x: [B, T <= 32, 24]) -> (y: [B, T, 24]) {{\n  {body}\n}}\n"
    artefact = emit(text)
    model = made(artefact).eval()
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", "-"]
    formatted = subprocess.run(ruff, input=artefact.model_code, capture_output=True, text=True, check=False)
    assert formatted.returncode == 0, formatted.stdout
    case = (torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0)),)
    torch.jit.script(made(artefact, artefact.export_code).eval())
    _compare_onnx(artefact, model, [case], ["x"])
