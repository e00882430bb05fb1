"""The kernels of all shipped specs, compiled for GPUs that need not be there: what they take of a machine."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from triton_files import compiled
from triton_launches import MachineCode, loaded, machine_code, recording, start

from dlspec.compiler.backends.pytorch.module import emit_module
from dlspec.compiler.backends.triton.activated_features import ActivatedFeatures
from dlspec.compiler.backends.triton.attention_features import AttentionFeatures
from dlspec.compiler.backends.triton.file import KernelFile
from dlspec.compiler.backends.triton.fuse_activations import fuse_activations
from dlspec.compiler.backends.triton.fuse_adds import fuse_adds
from dlspec.compiler.backends.triton.fuse_gates import fuse_gates
from dlspec.compiler.backends.triton.gated_features import GatedFeatures
from dlspec.compiler.backends.triton.linear import LinearFeatures
from dlspec.compiler.backends.triton.norm_features import NormFeatures
from dlspec.compiler.backends.triton.rotary_features import RotaryFeatures
from dlspec.compiler.backends.triton.variant import Variant
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

SHARED = {"sm_90": 232_448, "sm_80": 166_912, "gfx942": 65_536}
"""Bytes that a program may have."""
STACK = 64
"""Bytes a thread: more means that registers went to memory."""
WITHOUT_PRODUCTS = ("attention_delta", "attention_spans")
"""Kernels of an attention that need no tensor cores."""
KINDS = (AttentionFeatures, NormFeatures, GatedFeatures, RotaryFeatures, LinearFeatures, ActivatedFeatures)


@cache
def variants() -> dict[Variant, str]:
    """Every variant of the shipped specs, with the first spec that asks for it."""
    found: dict[Variant, str] = {}
    for path in sorted((Path(__file__).parents[1] / "specs").glob("*.dlspec")):
        analysis = analyse(Source(str(path), path.read_text(encoding="utf-8")))
        for graph in analysis.graphs.values():
            kernels = KernelFile("kernels")
            emit_module(fuse_activations(fuse_gates(fuse_adds(graph))), path.name, kernels=kernels)
            for variant in kernels.variants.values():
                found.setdefault(variant, path.stem)
    return found


def named(*kinds: type[Variant]) -> list[object]:
    """The variants as parameters, called after their specs."""
    return [
        pytest.param(variant, id=f"{spec}-{variant.kind}-{number}")
        for number, (variant, spec) in enumerate(variants().items(), 1)
        if isinstance(variant, kinds or KINDS)
    ]


HALF, BOTH = (torch.bfloat16,), (torch.bfloat16, torch.float32)


def codes(variant: Variant, target: str, dtypes: Sequence[torch.dtype] = BOTH) -> dict[str, MachineCode]:
    """Of each kernel in each of the dtypes."""
    file = KernelFile("kernels")
    file.add(variant)
    kernels = loaded(file.text("shipped.dlspec"))
    found: dict[str, MachineCode] = {}
    for dtype in dtypes:
        with recording(kernels, 9 if target == "sm_90" else 8) as launches:
            start(kernels, variant, 1, dtype)
        for launch in launches:
            found[f"{launch.name}, {dtype}, {launch.warps} warps"] = machine_code(kernels, launch, target)
    return found


def hold(variant: Variant, target: str, dtypes: Sequence[torch.dtype] | None = None) -> dict[str, MachineCode]:
    """Attention in half precision: what it is in float32 takes the compiler three times as long."""
    found = codes(variant, target, dtypes or (HALF if isinstance(variant, AttentionFeatures) else BOTH))
    assert found
    for name, code in found.items():
        assert code.shared <= SHARED[target], name
        assert code.stack <= STACK, name
    return found


@pytest.mark.parametrize("variant", named())
def test_on_hopper(variant: Variant) -> None:
    """Products by tensor cores over a whole warp group, fed by the copy engine."""
    found = hold(variant, "sm_90")
    if isinstance(variant, AttentionFeatures):
        for name, code in found.items():
            if not name.startswith(WITHOUT_PRODUCTS):
                assert "wgmma" in code.text and "cp.async.bulk.tensor" in code.text, name
    elif isinstance(variant, NormFeatures):
        for name, code in found.items():
            if "backward" in name:
                assert "cp.async" in code.text, name
    elif isinstance(variant, LinearFeatures | ActivatedFeatures):
        for name, code in found.items():
            assert code.wide_loads >= 1, name
    else:
        for name, code in found.items():
            assert code.shared == 0, name
            assert code.wide_loads >= 2, name


@pytest.mark.slow
@pytest.mark.parametrize("variant", named(AttentionFeatures))
def test_attention_in_float32_on_hopper(variant: Variant) -> None:
    """Exact products. Elsewhere the tests of precisions hold it, by widths."""
    for name, code in hold(variant, "sm_90", [torch.float32]).items():
        assert "mma" not in code.text.replace("fma", ""), name


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("variant", named())
def test_elsewhere(variant: Variant, target: str) -> None:
    found = hold(variant, target)
    if isinstance(variant, AttentionFeatures):
        products = "mma.sync" if target == "sm_80" else "v_mfma"
        for name, code in found.items():
            if not name.startswith(WITHOUT_PRODUCTS):
                assert products in code.text, name


ALL = "causal = true, window = 50, softcap = 30, alibi = true, dropout = 0.1, documents = documents"
CROWDED = {
    "96 wide": (96, "causal = true"),
    "128 wide, dropout": (128, "causal = true, dropout = 0.1"),
    "128 wide, soft cap and dropout": (128, "causal = true, softcap = 30, dropout = 0.1"),
    "128 wide, all": (128, ALL),
    "64 wide, soft cap and dropout": (64, "causal = true, softcap = 30, dropout = 0.1"),
    "64 wide, all": (64, ALL),
}
"""What no shipped spec asks of an attention: the width of a head and options. In half precision: some of it spills in
float32, whose products take registers."""


@pytest.mark.slow
@pytest.mark.parametrize(("width", "options"), CROWDED.values(), ids=CROWDED.keys())
def test_options_together_stay_in_registers(width: int, options: str) -> None:
    ports = f"x: [B, T <= 2048, {2 * width}]" + (", documents: int[B, T]" if "documents" in options else "")
    body = f"x -> attn: SelfAttention(2, {options}) as y"
    text = f"dlspec 1\nmodel Net: ({ports}) -> (y: [B, T, {2 * width}]) {{\n {body}\n}}\n"
    (variant,) = (one for one in compiled(text).variants.values() if isinstance(one, AttentionFeatures))
    for name, code in codes(variant, "sm_90", HALF).items():
        assert code.stack <= STACK, name


ABSENT = {
    "a plain RMSNorm": (
        NormFeatures(width=512, layer=False, bias=False, offset=False),
        {"mean", "middle", "bias", "d_bias", "offset", "residual", "branch", "seed", "seeds", "drop", "attention"},
    ),
    "a causal attention": (
        next(v for v in variants() if isinstance(v, AttentionFeatures) and v.causal and not v.dropout),
        {"window", "prefix", "documents", "softcap", "slopes", "weights", "bias", "seed", "seeds", "drop", "dropout"},
    ),
}


@pytest.mark.parametrize(("variant", "absent"), ABSENT.values(), ids=ABSENT.keys())
def test_what_is_not_asked_for_is_not_there(variant: Variant, absent: set[str]) -> None:
    file = KernelFile("kernels")
    file.add(variant)
    tokens = tokenize.generate_tokens(io.StringIO(file.text("shipped.dlspec")).readline)
    assert absent.isdisjoint(token.string for token in tokens if token.type == tokenize.NAME)
