"""What a model hands to an attention, and how the text around its kernels names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .attention_features import AttentionFeatures
from .specialise import Specialised


@dataclass(frozen=True)
class Given:
    """What a model hands in besides queries, keys and values."""

    name: str
    kind: str
    """`Tensor`, `int` or `float`."""
    shape: str = ""


def given(features: AttentionFeatures) -> list[Given]:
    """In the order of the emitted function's arguments."""
    found = []
    if features.prefix != "none":
        each = features.prefix == "each"
        found.append(Given("prefix", "Tensor", "[B]") if each else Given("prefix", "int"))
    if features.documents:
        found.append(Given("documents", "Tensor", "[B, T]"))
    if features.bias != "none":
        table = f"heads, T, {'T' if features.square else 'S'}"
        found.append(Given("bias", "Tensor", f"[{table}]" if features.bias == "one" else f"[B, {table}]"))
    if features.mask != "none":
        found.append(Given("mask", "Tensor", "[B, S]" if features.mask == "keys" else "[B, T, S]"))
    if features.alibi:
        found.append(Given("slopes", "Tensor", "[heads]"))
    if features.score is not None and features.score.by_head:
        found.append(Given("weights", "Tensor", f"[{len(features.score.by_head)}, heads]"))
    if features.window:
        found.append(Given("window", "int"))
    if features.softcap:
        found.append(Given("softcap", "float"))
    if features.scaled:
        found.append(Given("scale", "float"))
    if features.dropout:
        found.append(Given("dropout", "float"))
    return found


class AttentionNames:
    """Of one variant: what its functions take and give."""

    def __init__(self, features: AttentionFeatures, kernels: Specialised) -> None:
        self.features, self.kernels = features, kernels
        self.given = given(features)
        self.seed = [Given("seed", "Tensor | None")] if features.dropout else []
        self.learned = features.score is not None and bool(features.score.by_head)
        """Whether a gradient goes to `weights`, too."""
        self.biased = features.bias != "none"
        """Whether one may go to what is added to the scores."""

    def parameters(self, names: Sequence[str], more: Sequence[Given]) -> str:
        return ", ".join([*(f"{name}: Tensor" for name in names), *(f"{one.name}: {one.kind}" for one in more)])

    def names(self, names: Sequence[str]) -> str:
        return ", ".join([*names, *(one.name for one in self.all)])

    @property
    def all(self) -> list[Given]:
        """What operators take besides tensors of heads."""
        return [*self.given, *self.seed]

    def sizes(self) -> list[str]:
        width = "_" if self.features.scaled else "width"
        return [f"    B, T, heads, {width} = q.shape", *([] if self.features.scaled else ["    scale = width**-0.5"])]

    @property
    def out(self) -> str:
        """The size of what comes out, [B, T, heads, width of a value]."""
        return "q.shape" if self.features.value_width is None else "(*q.shape[:3], v.shape[3])"

    def side_by_side(self) -> list[str]:
        return [f"    {one.name} = {one.name}.contiguous()" for one in self.given if one.kind == "Tensor"]

    def results(self) -> list[str]:
        """Of the backward operator; `delta` is for that of the bias."""
        gradients = ["d_qkv"] if self.features.joined else ["d_q", "d_k", "d_v"]
        return [*gradients, *(["d_weights"] if self.learned else []), *(["delta"] if self.biased else [])]
