"""The file of a spec's kernels, `<spec>_kernels.py`, while it is being written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from .common import FUSED, HEAD, OPERATORS
from .merge import alike, without
from .numbering import going_by, numbered
from .tiles import with_tiles
from .variant import Variant


class KernelFile:
    """Gathers the kernels that the modules of one file call."""

    def __init__(self, stem: str, taken: Collection[str] = (), tiles: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.taken = frozenset(taken)
        """The names of the spec's own functions, which emitted code has too."""
        self.module = f"{stem}_kernels"
        self.stem = stem
        self.tiles = tiles
        """Tables of tiles in place of those that come with dlspec, by name."""
        self._variants: dict[Variant, int] = {}
        """With their numbers: each kind is counted by itself."""
        self.merged: Mapping[str, str] = {}
        """What stands under another name in the text, being the same."""
        self.plain: dict[str, str] = {}
        """What runs its plain form, with the reason: for what there are no kernels."""

    def add(self, variant: Variant) -> str:
        """The name of what a model calls for such a variant."""
        for other in variant.beside:
            self.add(other)
        variant = next((one for one in self._variants if one.covers(variant)), variant)
        if variant not in self._variants and variant.on is not None:
            self.add(variant.on)
            self._variants[variant] = self._variants[variant.on]
        elif variant not in self._variants:
            self._variants[variant] = 1 + sum(other.kind == variant.kind for other in self._variants)
        return numbered(variant.entry, self._variants[variant])

    @property
    def name(self) -> str:
        return f"{self.module}.py"

    @property
    def variants(self) -> dict[str, Variant]:
        """Those with kernels, by the names of what a model calls for them."""
        shown = {one: number for one, number in self._variants.items() if one.runs_kernels and one.called}
        return {numbered(one.entry, number): one for one, number in shown.items()}

    def _texts(self, instead: Mapping[str, str]) -> list[str]:
        shared = dict.fromkeys(part for variant in self._variants for part in variant.shared)
        variants = [_variant(variant, number, instead) for variant, number in self._variants.items()]
        return [FUSED, OPERATORS, *shared, *variants]

    def _called(self) -> set[str]:
        return {numbered(one.entry, number) for one, number in self._variants.items() if one.called}

    @property
    def empty(self) -> bool:
        return not self._variants

    def text(self, source_name: str) -> str:
        """The whole file. The operators' namespace has a hash of the text, so that no two files share one.

        Raises WrongTiles.
        """
        texts = self._texts({})
        found = alike(texts, self._called())
        self.merged = found.instead
        if found.instead:
            # Names are of other lengths then, and lines are broken elsewhere.
            texts = [without(*one) for one in zip(self._texts(found.instead), found.gone, strict=True)]
        body = "\n\n\n".join(text.strip("\n") for text in texts if text) + "\n"
        body = with_tiles(body, self.tiles) if self.tiles else body
        # PyTorch takes names of operators in ASCII alone, which begin with a letter.
        stem = re.sub(r"[^a-zA-Z0-9]+", "_", self.stem).strip("_")
        stem = stem if stem[:1].isalpha() else f"kernels{stem}"
        namespace = f"{stem}_{hashlib.sha256(body.encode()).hexdigest()[:6]}"
        doc = f'"""Kernels of {source_name}, and the plain forms that run without a GPU."""\n\n'
        modules = "from torch import Tensor, nn\n" if re.search(r"\bnn\.", body) else "from torch import Tensor\n"
        functional = "import torch.nn.functional as F\n" if re.search(r"\bF\.", body) else ""
        standard = "import math\n" if re.search(r"(?<!\.)\bmath\.", body) else ""
        descriptors = (
            "    from triton.tools.tensor_descriptor import TensorDescriptor\n" if "TensorDescriptor(" in body else ""
        )
        abstract = "Callable, Sequence" if "Sequence[" in body else "Callable"
        head = HEAD.replace("_NAMESPACE_", namespace).replace("_STANDARD_", standard).replace("_ABSTRACT_", abstract)
        head = head.replace("_IMPORTS_", functional + modules).replace("_DESCRIPTORS_", descriptors)
        return doc + head + "\n" + body


def _variant(variant: Variant, number: int, instead: Mapping[str, str]) -> str:
    if not instead:
        return _text_of(variant, number, ())
    text = _text_of(variant, number, ())
    there = tuple((name, other) for name, other in instead.items() if re.search(rf"(?<![.\w]){name}\b", text))
    return _text_of(variant, number, there)


@lru_cache(maxsize=256)
def _text_of(variant: Variant, number: int, instead: tuple[tuple[str, str], ...]) -> str:
    """It takes a fifth of a second, and a process may ask for the same kernels many times."""
    with going_by(dict(instead)):
        return _written(variant, number)


def _written(variant: Variant, number: int) -> str:
    kernels = variant.kernels(number)
    # Without Triton the file can be read all the same.
    own = kernels.text.replace("@triton.jit", "@kernel").replace("= tl.constexpr(", "= constant(")
    parts = (own.strip("\n"), "\n".join(variant.calling_lines(kernels, number)))
    return "\n\n\n".join(part for part in parts if part)
