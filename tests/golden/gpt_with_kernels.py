"""GPT, from gpt.dlspec. It needs PyTorch and gpt_kernels.py; it is yours to keep and change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gpt_kernels import (
    AddLayerNorm,
    Linear,
    LinearCrossEntropy,
    attention,
    gelu_tanh_linear,
    linears,
)


@dataclass(frozen=True)
class Config:
    """The constants of gpt.dlspec."""

    vocab: int = 50_257
    context: int = 1024
    dim: int = 768
    heads: int = 12
    depth: int = 12
    drop: float = 0.1


class SelfAttention(nn.Module):
    """Causal self-attention (Vaswani et al. 2017): [B, T, dim] -> [B, T, dim]"""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = linears(x, self.q, self.k, self.v)
        # Each is [B, T, heads, head_dim].
        q = q.unflatten(-1, (self.heads, -1))
        k = k.unflatten(-1, (self.heads, -1))
        v = v.unflatten(-1, (self.heads, -1))
        dropout = self.dropout if self.training else 0.0
        y = attention(q, k, v, dropout)
        return self.o(y.flatten(2))

    def init_weights(self, generator: torch.Generator | None) -> None:
        init_linear(self.q, generator)
        init_linear(self.k, generator)
        init_linear(self.v, generator)
        init_linear(self.o, generator)


class Mlp(nn.Module):
    def __init__(self, config: Config, hidden: int) -> None:
        super().__init__()
        self.fc = nn.Linear(config.dim, hidden)
        self.proj = Linear(hidden, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        x = gelu_tanh_linear(x, self.fc)
        return self.proj(x)

    def init_weights(self, generator: torch.Generator | None) -> None:
        init_linear(self.fc, generator)
        init_linear(self.proj, generator)


class Block(nn.Module):
    """One of GPT.blocks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attn_norm = AddLayerNorm(config.dim, drop=config.drop)
        self.attn = SelfAttention(config.dim, config.heads, dropout=config.drop)
        self.mlp_norm = AddLayerNorm(config.dim, drop=config.drop)
        self.mlp = Mlp(config, hidden=4 * config.dim)

    def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        x, h = self.attn_norm(x, h)
        h = self.attn(h)
        x, h = self.mlp_norm(x, h)
        return x, self.mlp(h)

    def init_weights(self, generator: torch.Generator | None) -> None:
        self.attn_norm.reset_parameters()
        self.attn.init_weights(generator)
        self.mlp_norm.reset_parameters()
        self.mlp.init_weights(generator)


class GPT(nn.Module):
    """tokens int[B, T <= context] -> logits [B, T, vocab]; with targets, the loss"""

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab, config.dim)
        self.wpe = nn.Embedding(config.context, config.dim)
        self.dropout = nn.Dropout(config.drop)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = AddLayerNorm(config.dim, drop=config.drop)
        self.head = LinearCrossEntropy(config.dim, config.vocab, bias=False)
        self.tie_weights()

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]  # [B, T, dim]
        x = self.dropout(x)
        h: Tensor | None = None
        for block in self.blocks:
            x, h = block(x, h)
        _, x = self.norm(x, h)
        return self.head(x, targets)

    def tie_weights(self) -> None:
        """Make tied weights one tensor, also where `to_empty` has parted them."""
        self.head.weight = self.wte.weight

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights, in the order of the spec."""
        self.tie_weights()
        nn.init.normal_(self.wte.weight, std=0.02, generator=generator)
        nn.init.normal_(self.wpe.weight, std=0.02, generator=generator)
        for block in self.blocks:
            block.init_weights(generator)
        self.norm.reset_parameters()


def init_linear(linear: nn.Linear, generator: torch.Generator | None) -> None:
    """Weights from N(0, 0.02^2), drawn from `generator`; biases 0."""
    nn.init.normal_(linear.weight, std=0.02, generator=generator)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
