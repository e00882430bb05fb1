"""The factor on a loss whose gradients are computed in float16, where the smallest would be 0 without it (Micikevicius
et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

LEAST = 1.0
GROWS_AFTER = 2000


@dataclass
class LossScale:
    """A power of two, moved as PyTorch's GradScaler moves its own: halved where a gradient overflowed, whose update is
    left out, and doubled after many updates in a row that were made. `made` counts them."""

    value: float = 65536.0
    made: int = 0

    def grow(self) -> None:
        """After an update that was made."""
        self.made += 1
        if self.made == GROWS_AFTER:
            self.value, self.made = 2 * self.value, 0

    def shrink(self) -> bool:
        """After a gradient that overflowed; whether there is a smaller scale to try."""
        self.value, self.made = self.value / 2, 0
        return self.value >= LEAST
