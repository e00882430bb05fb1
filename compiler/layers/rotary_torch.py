"""The PyTorch class that turns queries and keys by their position."""

from __future__ import annotations

ROTARY = '''\
class Rotary(nn.Module):
    """Rotary position embedding (Su et al. 2021), which turns halves, not neighbours."""

    def __init__(self, length: int, dim: int, base: float) -> None:
        super().__init__()
        self.base = base
        self.register_buffer("cos", torch.empty(length, dim // 2), persistent=False)
        self.register_buffer("sin", torch.empty(length, dim // 2), persistent=False)
        self.fill()

    def forward(self, x: Tensor) -> Tensor:
        cos, sin = self.cos[: x.shape[2]], self.sin[: x.shape[2]]  # [T, dim / 2]
        left, right = x.chunk(2, -1)  # [B, heads, T, dim / 2]
        turned = torch.cat((left * cos - right * sin, right * cos + left * sin), -1)
        return turned.type_as(x)

    @torch.no_grad()
    def fill(self) -> None:
        """Angles position * base^(-2i / dim), worked out in fp64 and kept in fp32."""
        length, half = self.cos.shape
        frequency = self.base ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
        self.cos.copy_(angle.cos())
        self.sin.copy_(angle.sin())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rotary:
        """Move with the model, but stay in fp32 where it is cast: far positions need it. No
        checkpoint has the tables, so that they are filled after `to_empty`, too.
        """
        before = self.cos
        super()._apply(fn, recurse)
        self.cos, self.sin = self.cos.float(), self.sin.float()
        if self.cos is not before and not self.cos.is_meta:
            self.fill()
        return self
'''

_HERE = ROTARY[ROTARY.index("    def forward") : ROTARY.index("    @torch.no_grad")]


def rotary_by_kernels(rotary: str) -> str:
    """The same for queries and keys at once, turned by a function of the file of kernels."""
    there = f"""\
    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return {rotary}(q, k, self.cos, self.sin)

"""
    return ROTARY.replace(_HERE, there)
