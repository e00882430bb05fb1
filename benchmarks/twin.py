"""A GPT and its training loop as one writes them by hand when speed matters: what dlspec is measured against.

After nanoGPT: one fused matrix for queries, keys and values, PyTorch's fused attention and fused AdamW, no wait for
the device in the loop, the next batch on its way while the device works. Nothing here comes from dlspec.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Shape:
    """`bias`: whether linear layers and norms have one; `gelu` is PyTorch's word for its form."""

    vocab: int
    context: int
    dim: int
    heads: int
    depth: int
    bias: bool
    gelu: str


@dataclass(frozen=True)
class Recipe:
    """AdamW with decay on matrices, a clipped norm, warm-up over `warm` updates and a cosine to a tenth of `peak`."""

    peak: float
    warm: int
    total: int
    betas: tuple[float, float]
    decay: float = 0.1
    clip: float = 1.0

    def rate(self, step: int) -> float:
        if step < self.warm:
            return self.peak * (step + 1) / self.warm
        progress = (step - self.warm) / (self.total - self.warm)
        floor = self.peak / 10
        return floor + (self.peak - floor) * (1 + math.cos(math.pi * progress)) / 2


# What the two specs say, written out by hand.
CHAR_SHAPE = Shape(vocab=65, context=64, dim=128, heads=4, depth=4, bias=False, gelu="none")
CHAR_RECIPE = Recipe(peak=1e-3, warm=100, total=2_000, betas=(0.9, 0.99))
GPT_SHAPE = Shape(vocab=50_257, context=1024, dim=768, heads=12, depth=12, bias=True, gelu="tanh")
GPT_RECIPE = Recipe(peak=6e-4, warm=2_000, total=600_000, betas=(0.9, 0.95))


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=shape.bias)
        self.out = nn.Linear(shape.dim, shape.dim, bias=shape.bias)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (part.view(b, t, self.heads, c // self.heads).transpose(1, 2) for part in self.qkv(x).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).contiguous().view(b, t, c))


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.dim, bias=shape.bias)
        self.attention = Attention(shape)
        self.norm2 = nn.LayerNorm(shape.dim, bias=shape.bias)
        self.up = nn.Linear(shape.dim, 4 * shape.dim, bias=shape.bias)
        self.down = nn.Linear(4 * shape.dim, shape.dim, bias=shape.bias)
        self.gelu = shape.gelu

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate=self.gelu))


class Twin(nn.Module):
    """tokens, targets int[B, T] -> the mean loss."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocab, shape.dim)
        self.places = nn.Embedding(shape.context, shape.dim)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.dim, bias=shape.bias)
        self.head = nn.Linear(shape.dim, shape.vocab, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.places(places)
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), targets.view(-1))


def load_emitted(twin: Twin, emitted: Mapping[str, Tensor]) -> None:
    """Give the twin the weights of the emitted model: `q`, `k` and `v` one below the other make the fused matrix."""
    names = {"wte": "tokens", "wpe": "places", "head": "head", "norm": "norm"}
    inside = {"attn_norm": "norm1", "attn.o": "attention.out", "mlp_norm": "norm2", "mlp.fc": "up", "mlp.proj": "down"}
    state: dict[str, Tensor] = {}
    for key in twin.state_dict():
        module, _, kind = key.rpartition(".")
        if not module.startswith("blocks."):
            (name,) = (ours for ours, theirs in names.items() if theirs == module)
            state[key] = emitted[f"{name}.{kind}"]
            continue
        block, _, part = module.removeprefix("blocks.").partition(".")
        if part == "attention.qkv":
            state[key] = torch.cat([emitted[f"blocks.{block}.attn.{one}.{kind}"] for one in "qkv"])
        else:
            (name,) = (ours for ours, theirs in inside.items() if theirs == part)
            state[key] = emitted[f"blocks.{block}.{name}.{kind}"]
    twin.load_state_dict(state, strict=True)


class Loop:
    """Takes the next updates whenever it is asked, on batches that lie ready on the CPU."""

    def __init__(
        self,
        twin: Twin,
        recipe: Recipe,
        batches: Sequence[Batch],
        device: torch.device,
        *,
        bf16: bool = False,
        compile: Callable[[nn.Module], nn.Module] | None = None,
    ) -> None:
        self._twin = twin.to(device).train()
        self._model = compile(self._twin) if compile else self._twin
        self._parameters = list(self._twin.parameters())
        groups = [
            {"params": [p for p in self._parameters if p.ndim >= 2], "weight_decay": recipe.decay},
            {"params": [p for p in self._parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=recipe.peak, betas=recipe.betas, fused=True)
        self._recipe = recipe
        self._batches = batches
        self._device = device
        # A forward casts each weight once, and a cache of casts outlives the update if the caller has an autocast too.
        cast = torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
        self._autocast = cast if bf16 else nullcontext()
        self._next = self._sent(0)
        self._losses: list[Tensor] = []

    def run(self, updates: int) -> None:
        """Take the next `updates`; on a GPU they may still be under way afterwards."""
        for _ in range(updates):
            step = len(self._losses)
            rate = self._recipe.rate(step)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            with self._autocast:
                loss = self._model(*self._next)
            self._next = self._sent(step + 1)
            loss.backward()
            nn.utils.clip_grad_norm_(self._parameters, self._recipe.clip)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            self._losses.append(loss.detach())

    @property
    def losses(self) -> list[float]:
        """Of every update so far; waits for the device."""
        return torch.stack(self._losses).tolist()

    def _sent(self, step: int) -> Batch:
        tokens, targets = self._batches[step % len(self._batches)]
        if self._device.type == "cpu":
            return tokens, targets
        return (
            tokens.pin_memory().to(self._device, non_blocking=True),
            targets.pin_memory().to(self._device, non_blocking=True),
        )
