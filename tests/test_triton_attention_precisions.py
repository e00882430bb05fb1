"""One emitted file serves float32 and half precision: what runs, how exactly, and what it takes of a machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from triton_files import as_on_a_gpu, compiled, loaded
from triton_launches import loaded as loaded_for_gpu
from triton_launches import machine_code, recording, start
from triton_templates import interpreting

from dlspec.compiler.backends.triton.attention_features import AttentionFeatures
from dlspec.compiler.backends.triton.file import KernelFile
from dlspec.runtime.bench.kinds.attention import KIND
from dlspec.runtime.bench.use import Entry, Use

SHARED = {"sm_90": 232_448, "sm_80": 101_376, "gfx942": 65_536}
"""Bytes that a program may have; of what came before Hopper the least."""
SPEC = """\
dlspec 1
model Net: (x: [B, T <= 64, 32]) -> (y: [B, T, 32]) {
  x -> attn: SelfAttention(2, kv_heads = 1, causal = true, window = 30, alibi = true) as y
}
"""


@pytest.fixture
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def results(q: Tensor, k: Tensor, v: Tensor, d: Tensor, attention: object) -> list[Tensor]:
    slopes = torch.tensor([0.25, 0.0625])
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    y = attention(*leaves, slopes.to(q.dtype), 30)  # type: ignore[operator]
    return [y, *torch.autograd.grad(y, leaves, d)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_one_file_serves_all(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, interpreted: None) -> None:
    """float64 has no kernels. The others: 1e-5 times the root of the length, or twice the error of PyTorch's form."""
    _, kernels = loaded(compiled(SPEC))
    asked: list[bool] = []

    def fused(x: Tensor) -> bool:
        asked.append(as_on_a_gpu(x))
        return asked[-1]

    monkeypatch.setattr(kernels, "fused", fused)
    drawn = torch.Generator().manual_seed(3)
    given = [torch.randn(2, 50, heads, 16, generator=drawn).to(dtype) for heads in (2, 1, 1, 2)]
    found = results(*given, kernels.attention)  # type: ignore[call-arg]
    assert asked == [dtype != torch.float64]
    want = results(*(x.double() for x in given), kernels.attention_plain)  # type: ignore[call-arg]
    rough = results(*given, kernels.attention_plain)  # type: ignore[call-arg]
    for a, b, c in zip(found, want, rough, strict=True):
        assert a.dtype == dtype
        allowed = 1e-5 * 50**0.5 if dtype.itemsize > 2 else 2 * (c - b).abs().max()
        assert (a - b).abs().max() <= allowed


PLAIN = AttentionFeatures(
    width=64, group=1, causal=True, square=True, window=False, prefix="none", documents=False, mask="none",
    softcap=False, alibi=False, score=None, bias="none", dropout=False, scaled=False, joined=False,
)  # fmt: skip
FULL = {
    "group": 2,
    "window": True,
    "mask": "keys",
    "softcap": True,
    "alibi": True,
    "dropout": True,
    "bias": "each",
}
"""What takes the most registers."""


def hold(width: int, options: dict[str, object], target: str, dtype: torch.dtype = torch.float32) -> None:
    """All of its numbers stay in registers, and in float32 no product is rounded on its way."""
    file = KernelFile("kernels")
    file.add(AttentionFeatures(**{**vars(PLAIN), **options, "width": width}))
    kernels = loaded_for_gpu(file.text("net.dlspec"))
    with recording(kernels, 9 if target == "sm_90" else 8) as launches:
        start(kernels, next(iter(file.variants.values())), 1, dtype)
    assert len(launches) == 4 + ("bias" in options)
    for launch in launches:
        code = machine_code(kernels, launch, target)
        assert code.stack <= 64 and code.shared <= SHARED[target], launch.name
        if dtype == torch.float32:
            # An MI300 has products of float32 proper, besides those of xf32.
            assert all(word not in code.text for word in ("mma.sync", "wgmma", "xf32")), launch.name


@pytest.mark.parametrize("width", [64, 128, 256])
def test_float32_on_hopper(width: int) -> None:
    hold(width, {}, "sm_90")


OTHER_VALUES = [(192, 128), (128, 192), (256, 64), (64, 256), (24, 64)]
"""Widths of keys and of values."""


@pytest.mark.slow
@pytest.mark.parametrize(("width", "value_width"), OTHER_VALUES[:2])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_values_of_another_width_on_hopper(width: int, value_width: int, dtype: torch.dtype) -> None:
    hold(width, {"value_width": value_width}, "sm_90", dtype)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "value_width"), OTHER_VALUES)
def test_values_of_another_width_with_all_options(width: int, value_width: int) -> None:
    hold(width, {"value_width": value_width, **FULL}, "sm_90", torch.bfloat16)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize(("width", "value_width", "dtype"), [(192, 128, torch.bfloat16), (64, 256, torch.float32)])
def test_values_of_another_width_elsewhere(width: int, value_width: int, dtype: torch.dtype, target: str) -> None:
    """What takes the most, in half precision and in float32."""
    hold(width, {"value_width": value_width, **FULL}, target, dtype)


def test_equal_files_have_their_own_kernels() -> None:
    """Those of two specs share operators: each starts what it holds all the same, and not what was loaded first."""
    file = KernelFile("kernels")
    file.add(PLAIN)
    for spec in ("one.dlspec", "two.dlspec"):
        kernels = loaded_for_gpu(file.text(spec))
        with recording(kernels, 9) as launches:
            start(kernels, PLAIN, 1, torch.bfloat16)
        assert len(launches) == 4


WIDTHS = [*((width, "sm_90") for width in (24, 64, 128, 256)), *itertools.product((64, 256), ("sm_80", "gfx942"))]
"""Of heads, and machines."""


@pytest.mark.slow
@pytest.mark.parametrize(("width", "target"), WIDTHS)
@pytest.mark.parametrize("options", [{}, FULL], ids=["plain", "with all"])
def test_float32_elsewhere_and_with_all_options(width: int, options: dict[str, object], target: str) -> None:
    hold(width, options, target)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "target"), WIDTHS)
@pytest.mark.parametrize("options", [{"bias": "one", "dropout": True}, FULL], ids=["plain", "with all"])
def test_what_is_added_leaves_room(width: int, options: dict[str, object], target: str) -> None:
    """In half precision, where tiles are larger."""
    hold(width, options, target, torch.bfloat16)


def test_tiles_go_by_the_dtype_that_kernels_get() -> None:
    """`bench --tune` asks for it: slopes may be wider, and autocast changes what comes in."""
    q, slopes = torch.zeros(1, 2, 2, 16, dtype=torch.bfloat16), torch.zeros(2)
    values = {"q": q, "k": q, "v": q, "slopes": slopes}
    use = Use("attention", Entry("attention", {}), print, values, (), None)
    assert KIND.bytes_of_number(use, backward=True) == 2
    wide = Use("attention", Entry("attention", {}), print, {**values, "q": q.float()}, (), torch.bfloat16)
    assert KIND.bytes_of_number(wide, backward=False) == 2
