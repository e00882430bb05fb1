"""The templates of attention in Triton's interpreter, against matrices in float64."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from triton_attention import Options, Tiles, backward, forward, reference, seen
from triton_attention_cases import COVER, Case, shown
from triton_attention_cases import inputs as inputs_of
from triton_templates import interpreting

SMALL = Tiles(16, 16)


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(B: int, T: int, S: int, heads: int, kv_heads: int, width: int, seed: int = 0) -> tuple[Tensor, ...]:
    shapes = ((T, heads), (S, kv_heads), (S, kv_heads), (T, heads))
    q, k, v, d_out = (numbers(B, *shape, width, seed=4 * seed + i) for i, shape in enumerate(shapes))
    return q, k, v, d_out


def wanted(
    q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, options: Options, keep: Tensor | None = None
) -> list[Tensor]:
    """The output and the gradients, in float64."""
    leaves = [x.double().requires_grad_() for x in (q, k, v)]
    options = options.to(torch.float64)
    if options.weights is not None and options.learned:
        leaves.append(options.weights.requires_grad_())
    if options.bias is not None:
        leaves.append(options.bias.requires_grad_())
    out = reference(leaves[0], leaves[1], leaves[2], options, keep)
    return [out, *torch.autograd.grad(out, leaves, d_out.double())]


def computed(q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, options: Options, tiles: Tiles = SMALL) -> list[Tensor]:
    out, lse = forward(q, k, v, options, tiles)
    return [out, *backward(q, k, v, out, lse, d_out, options, tiles)]


def hold(found: list[Tensor], want: list[Tensor], length: int) -> None:
    """Equal to what rounding in float32 over sums of `length` allows; sums over all queries are as long as they are."""
    assert len(found) == len(want)
    for a, b in zip(found, want, strict=True):
        of_weights = b.ndim == 2
        allowed = 1e-5 * length**0.5 * (b.abs().max().clamp(min=1.0).item() * length**0.5 if of_weights else 1.0)
        assert torch.isfinite(a).all()
        assert (a - b).abs().max().item() <= allowed


SORTED = torch.tensor([[0] * 9 + [1] * 20 + [2] * 11, [3] * 40], dtype=torch.int32)
MIXED = torch.tensor([[i % 3 for i in range(40)], [i // 7 for i in range(40)]], dtype=torch.int32)
SINGLE = {
    "full": Options(),
    "causal": Options(causal=True),
    "window": Options(window=9),
    "causal window": Options(causal=True, window=9),
    "window of one": Options(causal=True, window=1),
    "prefix": Options(causal=True, prefix=21),
    "prefix for each": Options(causal=True, prefix=torch.tensor([3, 33], dtype=torch.int32)),
    "prefix in a window": Options(causal=True, window=11, prefix=21),
    "documents": Options(documents=SORTED),
    "documents in any order": Options(causal=True, documents=MIXED),
    "keys masked": Options(mask=numbers(2, 40, seed=90) > -0.5),
    "pairs masked": Options(mask=numbers(2, 40, 40, seed=91) > 0),
    "soft cap": Options(softcap=1.5),
    "own score": Options(causal=True, weights=numbers(1, 4, seed=92)),
    "added": Options(bias=numbers(4, 40, 40, seed=93)),
    "added for each": Options(causal=True, bias=numbers(2, 4, 40, 40, seed=94)),
    "alibi": Options(causal=True, slopes=2.0 ** -torch.arange(1.0, 5.0)),
    "scale": Options(scale=0.7),
}


@pytest.mark.slow
@pytest.mark.parametrize("options", SINGLE.values(), ids=SINGLE.keys())
def test_each_option(options: Options) -> None:
    q, k, v, d_out = inputs(2, 40, 40, heads=4, kv_heads=2, width=16)
    hold(computed(q, k, v, d_out, options), wanted(q, k, v, d_out, options), 40)


def drawn(seed: int) -> tuple[Options, tuple[Tensor, ...], Tiles]:
    """Options, lengths, widths and tiles at random; `documents` need queries and keys to be alike."""
    draw = random.Random(seed)
    T = draw.choice([1, 7, 33, 48])
    S = draw.choice([T, T, 5, 40, 64])
    kv_heads, width = draw.choice([1, 2]), draw.choice([16, 24, 40])
    heads = kv_heads * draw.choice([1, 2, 3])
    causal = draw.random() < 0.6

    def sometimes(value: Any, chance: float = 0.3) -> Any:
        return value if draw.random() < chance else None

    prefix = draw.choice([9, torch.tensor([3, 37], dtype=torch.int32)])
    documents = torch.tensor([[i * 4 // T for i in range(T)], [i % 3 for i in range(T)]], dtype=torch.int32)
    options = Options(
        causal=causal,
        window=sometimes(draw.choice([1, 5, 16, 40])),
        prefix=sometimes(prefix) if causal else None,
        documents=sometimes(documents) if T == S else None,
        mask=sometimes(numbers(*draw.choice([(2, S), (2, T, S)]), seed=seed) > -0.5),
        softcap=sometimes(2.0),
        weights=sometimes(numbers(1, heads, seed=seed + 1) * 0.3),
        bias=sometimes(numbers(*draw.choice([(heads, T, S), (2, heads, T, S)]), seed=seed + 2)),
        slopes=sometimes(numbers(heads, seed=seed + 3).abs() * 0.3),
        scale=sometimes(0.4),
    )
    tiles = Tiles(draw.choice([16, 32]), draw.choice([16, 32]), described=width == 16 and draw.random() < 0.6)
    return options, inputs(2, T, S, heads, kv_heads, width, seed), tiles


def hold_drawn(seed: int) -> None:
    options, (q, k, v, d_out), tiles = drawn(seed)
    print(options.shown(), tuple(q.shape), tuple(k.shape), tiles)
    hold(computed(q, k, v, d_out, options, tiles), wanted(q, k, v, d_out, options), max(q.shape[1], k.shape[1]))


@pytest.mark.parametrize("seed", range(8))
def test_options_together(seed: int) -> None:
    hold_drawn(seed)


def hold_other_values(seed: int) -> None:
    """The same with values that are wider or narrower than keys, by descriptors where both widths allow it."""
    options, (q, k, v, d_out), tiles = drawn(seed)
    width = random.Random(seed).choice([w for w in (16, 32, 64) if w != q.shape[3]] + [20] * (not tiles.described))
    v, d_out = numbers(*v.shape[:3], width, seed=seed + 4), numbers(*d_out.shape[:3], width, seed=seed + 5)
    print(options.shown(), tuple(q.shape), tuple(v.shape), tiles)
    hold(computed(q, k, v, d_out, options, tiles), wanted(q, k, v, d_out, options), max(q.shape[1], k.shape[1]))


@pytest.mark.parametrize("seed", range(20, 26))
def test_values_of_another_width(seed: int) -> None:
    hold_other_values(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 210))
def test_more_values_of_another_width(seed: int) -> None:
    hold_other_values(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 115))
def test_more_options_together(seed: int) -> None:
    hold_drawn(seed)


@pytest.mark.slow
@pytest.mark.parametrize("case", COVER, ids=shown)
def test_every_two_options_together(case: Case) -> None:
    """Dropout among them: what it keeps is read off, and the reference keeps the same."""
    (q, k, v, d_out), options, tiles = inputs_of(case)
    keep = kept(q, k, options, tiles) if options.drop else None
    found = computed(q, k, v, d_out, options, tiles)
    hold(found, wanted(q, k, v, d_out, options, keep), max(q.shape[1], k.shape[1]))


def test_rows_of_a_wider_tensor() -> None:
    """Queries, keys and values as slices of one projection are read where they lie."""
    together = numbers(2, 24, 3 * 2, 16, seed=5)
    q, k, v = together.split(2, 2)
    d_out = numbers(2, 24, 2, 16, seed=6)
    assert not q.is_contiguous()
    hold(computed(q, k, v, d_out, Options(causal=True)), wanted(q, k, v, d_out, Options(causal=True)), 24)


def test_a_query_that_sees_nothing_gives_zero() -> None:
    """More queries than keys: the first ones stand before any key. No NaN, and no gradient."""
    q, k, v, d_out = inputs(2, 40, 24, heads=2, kv_heads=2, width=16)
    options = Options(causal=True)
    out, d_q, d_k, d_v = computed(q, k, v, d_out, options)
    assert (out[:, :16] == 0).all() and (d_q[:, :16] == 0).all()
    hold([out, d_q, d_k, d_v], wanted(q, k, v, d_out, options), 40)


@pytest.mark.parametrize("options", [Options(causal=True), Options(causal=True, window=7), SINGLE["documents"]])
def test_what_is_masked_has_exactly_no_gradient(options: Options) -> None:
    """One query's gradient only: the keys it does not see get none, to the bit."""
    q, k, v, d_out = inputs(2, 40, 40, heads=2, kv_heads=2, width=16)
    row = 20
    d_out[:, :row] = 0
    d_out[:, row + 1 :] = 0
    _, _, d_k, d_v = computed(q, k, v, d_out, options)
    hidden = ~seen(q, k, options)[:, 0, row]
    assert hidden.any()
    for batch in range(2):
        assert (d_k[batch, hidden[batch]] == 0).all() and (d_v[batch, hidden[batch]] == 0).all()


def kept(q: Tensor, k: Tensor, options: Options, tiles: Tiles) -> Tensor:
    """Which weights dropout keeps, read off an attention whose values tell the keys apart: [B, heads, T, S]."""
    (B, T, heads), (S, kv_heads) = q.shape[:3], k.shape[1:3]
    marks = torch.eye(S)[None, :, None].expand(B, S, kv_heads, S).contiguous()
    alone = Options(drop=options.drop, seed=options.seed)
    out, _ = forward(torch.zeros(B, T, heads, S), marks, marks, alone, replace(tiles, described=False))
    return (out != 0).permute(0, 2, 1, 3)


class TestDropout:
    options = Options(causal=True, drop=0.3, seed=torch.tensor([123456789012345]))

    def kept(self, q: Tensor, k: Tensor, tiles: Tiles) -> Tensor:
        return kept(q, k, self.options, tiles)

    def test_the_same_for_any_tiles_and_both_ways(self) -> None:
        q, k, v, d_out = inputs(2, 48, 48, heads=2, kv_heads=2, width=48)
        keep = self.kept(q, k, Tiles(16, 32))
        assert torch.equal(keep, self.kept(q, k, Tiles(32, 16)))
        hold(computed(q, k, v, d_out, self.options, Tiles(32, 16)), wanted(q, k, v, d_out, self.options, keep), 48)

    def test_as_many_as_asked_and_no_two_rows_alike(self) -> None:
        q, k, _, _ = inputs(4, 64, 64, heads=4, kv_heads=4, width=64)
        keep = self.kept(q, k, Tiles(32, 32)).flatten(2).float()
        count = keep.numel()
        assert abs(keep.mean().item() - 0.7) < 4 * (0.21 / count) ** 0.5
        planes = keep.flatten(0, 1)
        assert torch.unique(planes, dim=0).shape[0] == planes.shape[0]
        assert torch.corrcoef(planes).fill_diagonal_(0).abs().max() < 0.12


HALVES = [torch.float16, torch.bfloat16]


def hold_half(tensors: Sequence[Tensor], options: Options, tiles: Tiles, dtype: torch.dtype) -> None:
    """Against float64, at most twice as far as the same matrices in PyTorch at that precision, in which there what is
    learnt of the scores is as well. Where a query sees one key alone, gradients are 0 but for what float32 leaves."""
    q, k, v, d_out = (x.to(dtype) for x in tensors)
    keep = kept(q.float(), k.float(), options, tiles) if options.drop else None
    want, low = wanted(q, k, v, d_out, options, keep), options.to(dtype)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    for name in ("weights", "bias"):
        if getattr(low, name) is not None:
            leaves.append(getattr(low, name).clone().requires_grad_())
            low = replace(low, **{name: leaves[-1]})
    out = reference(leaves[0], leaves[1], leaves[2], low, keep)
    rough = [out, *torch.autograd.grad(out, leaves, d_out)]
    for a, b, c in zip(computed(q, k, v, d_out, options, tiles), want, rough, strict=True):
        assert (a - b).abs().max() <= 2 * (c - b).abs().max() + 1e-6


@pytest.mark.parametrize("value_width", [32, 16, 48])
@pytest.mark.parametrize("dtype", HALVES, ids=["fp16", "bf16"])
def test_at_most_twice_the_error_of_pytorch(dtype: torch.dtype, value_width: int) -> None:
    q, k, v, d_out = inputs(1, 64, 64, heads=2, kv_heads=1, width=32)
    if value_width != 32:
        v, d_out = (numbers(1, 64, heads, value_width, seed=heads) for heads in (1, 2))
    hold_half((q, k, v, d_out), Options(causal=True, softcap=20.0), Tiles(32, 32), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALVES, ids=["fp16", "bf16"])
@pytest.mark.parametrize("options", [*SINGLE.values(), TestDropout.options], ids=[*SINGLE, "dropout"])
def test_each_option_in_half_precision(options: Options, dtype: torch.dtype) -> None:
    hold_half(inputs(2, 40, 40, heads=4, kv_heads=2, width=16), options, SMALL, dtype)
