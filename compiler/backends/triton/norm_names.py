"""The words in which the text of a norm's kernels speaks: what comes in, what is learned, what goes out."""

from __future__ import annotations

from .norm_features import NormFeatures
from .specialise import Specialised

SEEDED = {"seeds": "seed", "DROPOUT": "seed is not None"}
"""Parameters of the kernels by what a launcher has for them."""


class NormNames:
    """What each part of the text is written from."""

    def __init__(self, features: NormFeatures, kernels: Specialised) -> None:
        self.features, self.kernels = features, kernels
        self.name = ("add_" if features.add else "") + ("layer_norm" if features.layer else "rms_norm")
        self.learned = ["weight", *(["bias"] if features.bias else [])]
        self.incoming = ["x", *(["branch"] if features.add else [])]
        self.numbers = [
            "eps",
            *(["offset"] if features.offset else []),
            *(["drop"] if features.dropout else []),
        ]
        self.seed = ["seed"] if features.dropout else []
        self.of_rows = [*(["mean"] if features.layer else []), "rstd"]
        """What backward needs of each row."""
        self.results = ["total", "y"] if features.add else ["y"]

    def tensors_text(self, names: list[str]) -> str:
        missing = {"branch"} if self.features.optional else set()
        return ", ".join(f"{name}: Tensor{' | None' if name in missing else ''}" for name in names)

    def numbers_text(self) -> str:
        return ", ".join(f"{name}: float" for name in self.numbers)

    def seed_text(self) -> str:
        return ", seed: Tensor | None" if self.seed else ""

    def more_text(self) -> str:
        """What else backward takes."""
        offset = ", offset: float" if self.features.offset else ""
        drop = f", drop: float{self.seed_text()}" if self.features.dropout else ""
        return f"{offset}{drop}, branch_dtype: torch.dtype" if self.features.add else offset

    def total_text(self) -> str:
        """Room for the sum: none where nothing is added."""
        if self.features.optional:
            return "room_for_sum(x, branch)"
        return "x.new_empty(x.shape, dtype=torch.promote_types(x.dtype, branch.dtype))"

    def alike_text(self, owner: str = "") -> str:
        """Whether the gradient of the branch is that of the sum."""
        seed = " and seed is None" if self.features.dropout else ""
        return f"{owner}branch_dtype == total.dtype{seed}"


def many(count: int) -> str:
    return ", ".join(["Tensor"] * count)
