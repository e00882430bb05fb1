"""ALiBi: how fast the score of each head falls with distance (Press et al. 2022)."""

from __future__ import annotations

SLOPES = '''\
def alibi_slopes(heads: int, device: torch.device) -> Tensor:
    """How fast each head's score falls with distance (Press et al. 2022): [heads, 1, 1]

    For a power of two n they fall from head to head by 2^(-8 / n), to 2^-8; the heads
    beyond n have what lies between.
    """
    n = 1
    while 2 * n <= heads:
        n *= 2
    first = 2.0 ** (-8.0 / n * torch.arange(1, n + 1, device=device))
    between = 2.0 ** (-4.0 / n * (2 * torch.arange(heads - n, device=device) + 1))
    return torch.cat((first, between))[:, None, None]
'''
"""The PyTorch function of the same."""


def slopes(heads: int) -> list[float]:
    """2^(-8 i / n) for a power of two n; the heads beyond one have those that lie between."""
    n = 1 << (heads.bit_length() - 1)
    first = [2.0 ** (-8 * i / n) for i in range(1, n + 1)]
    return first + [2.0 ** (-4 * i / n) for i in range(1, 2 * (heads - n), 2)]
