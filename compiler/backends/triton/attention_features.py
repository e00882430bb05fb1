"""What an attention asks of its kernels, and whether there are kernels for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...layers.attention import Attention
from ...layers.score import ScoreFunction
from ...layers.side import Side
from ...semantics.number import Number, is_whole
from ...semantics.tensor import Tensor
from .common import GENERATION, TILES
from .specialise import Specialised
from .variant import NoKernel, Variant

WIDEST = 256
"""Of a head: wider tiles do not fit into a multiprocessor's memory."""


@dataclass(frozen=True)
class AttentionFeatures(Variant):
    """What is fixed when the kernels are written. Numbers that only they compute with are arguments."""

    kind: ClassVar[str] = "attention"

    width: int
    """Of a head."""
    group: int
    """How many heads of queries share one of keys and values."""
    causal: bool
    square: bool
    """Whether there are as many queries as keys, whatever the lengths."""
    window: bool
    prefix: str
    """"none", "number" or "each": the same for all examples, or one for each."""
    documents: bool
    mask: str
    """"none", "keys" or "pairs"."""
    softcap: bool
    alibi: bool
    score: ScoreFunction | None
    bias: str
    """What is added to the scores: "none", "one" table for all examples, or one for "each"."""
    dropout: bool
    scaled: bool
    """Whether scores have a scale of their own."""
    joined: bool
    """Whether queries, keys and values come from one product as they are: then so go their gradients."""
    value_width: int | None = None
    """Of a head of values, where keys have another."""

    @property
    def entry(self) -> str:
        return "attention"

    @property
    def tables(self) -> Mapping[str, str]:
        of_bias = {} if self.bias == "none" else {"ATTENTION_BACKWARD_BIAS": "backward"}
        backward = {"ATTENTION_BACKWARD_KEYS": "backward", "ATTENTION_BACKWARD_QUERIES": "backward"}
        return {"ATTENTION_FORWARD": "forward"} | backward | of_bias

    @property
    def shared(self) -> tuple[str, ...]:
        return (GENERATION, TILES)

    def kernels(self, number: int) -> Specialised:
        from .attention_text import specialised

        return specialised(self, number)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        from .attention_text import calling_lines

        return calling_lines(self, kernels, number)

    def constants(self) -> dict[str, bool | int | str]:
        """Of the templates. What is missing stays a parameter."""
        values: dict[str, int | str] = {"VALUE_WIDTH": "WIDTH", "VALUE_PADDED": "PADDED"}
        if self.value_width is not None:
            values = {"VALUE_WIDTH": self.value_width, "VALUE_PADDED": _padded(self.value_width)}
        fixed = {} if self.dropout else {"DROPOUT": False}
        learned = 0 if self.score is None else len(self.score.by_head)
        lanes = {"LANES": 1 << (learned - 1).bit_length()} if learned else {}
        return (
            fixed
            | lanes
            | values
            | {
                "WIDTH": self.width,
                "PADDED": _padded(self.width),
                "GROUP": self.group,
                "SHIFTED": self.causal and not self.square,
                "CAUSAL": self.causal,
                "WINDOW": self.window,
                "ONE_SIDED": self.causal and self.prefix == "none",
                "PREFIX": self.prefix != "none",
                "PREFIX_EACH": self.prefix == "each",
                "DOCUMENTS": self.documents,
                "KEY_MASK": self.mask == "keys",
                "PAIR_MASK": self.mask == "pairs",
                "SOFTCAP": self.softcap,
                "SCORE": self.score is not None,
                "LEARNED": learned > 0,
                "BIAS": self.bias != "none",
                "BIAS_EACH": self.bias == "each",
                "ALIBI": self.alibi,
            }
        )


def attention_features(layer: Attention, x: Tensor) -> AttentionFeatures:
    """Raises NoKernel where the plain form has to do."""
    width, value_width = _whole(layer.width_of_head(x)), _whole(layer.width_of_value(x))
    group = _whole(layer.heads) // _whole(layer.key_heads())
    if max(width, value_width) > WIDEST:
        raise NoKernel(f"heads wider than {WIDEST}")
    bias = "none"
    if isinstance(layer.score, Side):
        bias = "each" if layer.score.type.rank == 4 else "one"
    mask = "none" if layer.mask is None else "pairs" if layer.mask.type.rank == 3 else "keys"
    return AttentionFeatures(
        width=width,
        group=group,
        causal=layer.causal,
        square=layer.square(x),
        window=layer.window is not None,
        prefix="none" if layer.prefix is None else "each" if isinstance(layer.prefix, Side) else "number",
        documents=layer.documents is not None,
        mask=mask,
        softcap=layer.softcap is not None,
        alibi=layer.alibi,
        score=layer.score if isinstance(layer.score, ScoreFunction) else None,
        bias=bias,
        dropout=layer.dropout.value != 0,
        scaled=layer.scale is not None,
        value_width=None if value_width == width else value_width,
        joined="bias" in layer.options and not layer.sequences and layer.qk_norm is None and layer.rotary is None,
    )


def _padded(width: int) -> int:
    """The power of two that it fits in, and that a product may have."""
    return 1 << max(4, (width - 1).bit_length())


def _whole(n: Number) -> int:
    assert n.value is not None and is_whole(n)
    return int(n.value)
