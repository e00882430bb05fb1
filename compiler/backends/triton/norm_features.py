"""What a norm asks of its kernels, and whether there are kernels for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...layers.layer_norm import LayerNorm
from ...layers.rms_norm import RMSNorm
from ...semantics.number import is_whole
from ...semantics.tensor import Tensor
from .common import GENERATION, GROUPS_OF_ROWS, ROOM_FOR_SUM
from .norm_configuration import BackwardTiles, ForwardTiles, backward_tiles, forward_tiles
from .specialise import Specialised, specialise
from .variant import NoKernel, Variant

WIDEST = 65_536
ENTRIES = (2, 4)
"""Bytes of a number: tiles are as large as registers allow."""
SHARED_MEMORY = {9: 232_448, 8: 101_376}
"""Bytes that a program may have, by the generations of `common.FUSED`; of those before Hopper the least."""


@dataclass(frozen=True)
class NormFeatures(Variant):
    """What is fixed when the kernels are written."""

    kind: ClassVar[str] = "norm"

    width: int
    layer: bool
    """LayerNorm; else RMSNorm."""
    bias: bool
    offset: bool
    add: bool = False
    """Whether the sum of a residual stream and a branch is normed, and goes on as the stream."""
    optional: bool = False
    """Whether the branch may be missing."""
    dropout: bool = False
    """Whether entries of the branch are dropped before it is added."""
    narrow: bool = False
    """Whether autocast's own dtype is that of what is normed; else float32, as PyTorch has it."""

    @property
    def entry(self) -> str:
        return ("Add" if self.add else "") + ("LayerNorm" if self.layer else "RMSNorm")

    @property
    def tables(self) -> Mapping[str, str]:
        return {"NORM_FORWARD": "forward", "NORM_BACKWARD": "backward"}

    @property
    def shared(self) -> tuple[str, ...]:
        return (GENERATION, GROUPS_OF_ROWS, *([ROOM_FOR_SUM] if self.optional else []))

    def kernels(self, number: int) -> Specialised:
        return specialise(self.roots(), self.constants(), {}, number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        from .norm_text import calling_lines

        return calling_lines(self, kernels, number)

    def forward_tiles(self) -> dict[int, ForwardTiles]:
        """By the bytes of a number."""
        return {entry: forward_tiles(self.width, entry) for entry in ENTRIES}

    def backward_tiles(self) -> dict[int, dict[int, BackwardTiles]]:
        """By generation and the bytes of a number."""
        crowded = self.add and (self.bias or self.dropout)
        return {
            generation: {entry: backward_tiles(self.width, entry, shared, crowded) for entry in ENTRIES}
            for generation, shared in SHARED_MEMORY.items()
        }

    @property
    def wide_forward(self) -> bool:
        """Whether a row is taken block by block, which its width alone decides."""
        return all(tiles.wide for tiles in self.forward_tiles().values())

    @property
    def forward(self) -> str:
        """The kernel of the forward pass."""
        return "norm_forward_wide" if self.wide_forward else "norm_forward"

    def every_backward(self) -> list[BackwardTiles]:
        return [tiles for table in self.backward_tiles().values() for tiles in table.values()]

    def roots(self) -> tuple[str, ...]:
        rows = any(tiles.wide for tiles in self.every_backward())
        return (
            f"norm_forward.{self.forward}",
            *(["norm_backward.norm_backward_rows"] if rows else []),
            "norm_backward.norm_backward",
            "norm_backward.norm_sum_parts",
        )

    def constants(self) -> dict[str, bool | int]:
        """Of the templates; what is missing stays a parameter. Ways of backward are fixed where all tables agree."""
        ways = {
            name: found.pop()
            for name in ("again", "wide")
            if len(found := {getattr(tiles, name) for tiles in self.every_backward()}) == 1
        }
        return {
            "WIDTH": self.width,
            "LAYER": self.layer,
            "WEIGHT": True,
            "OFFSET": self.offset,
            "BIAS": self.bias,
            **({} if self.optional else {"ADD": self.add}),
            **({} if self.dropout else {"DROPOUT": False}),
            **({} if self.add else {"STREAM": False, "BRANCH": False}),
            **{name.upper(): value for name, value in ways.items()},
        }


def norm_features(layer: LayerNorm | RMSNorm, x: Tensor) -> NormFeatures:
    """Raises NoKernel where the plain form has to do."""
    n = x.dims[-1]
    assert n.value is not None and is_whole(n)
    width = int(n.value)
    if width > WIDEST:
        raise NoKernel(f"rows longer than {WIDEST}")
    if isinstance(layer, LayerNorm):
        return NormFeatures(width, layer=True, bias=layer.bias, offset=False)
    return NormFeatures(width, layer=False, bias=False, offset=layer.offset.value != 0)
