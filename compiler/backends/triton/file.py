"""The file of a spec's kernels, `<spec>_kernels.py`, while it is being written."""

from __future__ import annotations

import hashlib
import re

from .attention_features import AttentionFeatures
from .attention_text import calling_lines, specialised
from .common import DOCUMENT_SPANS, FUSED, HEAD, OPERATORS, TILES
from .specialise import numbered


class KernelFile:
    """Gathers the kernels that the modules of one file call."""

    def __init__(self, stem: str) -> None:
        self.module = f"{stem}_kernels"
        self.stem = stem
        self._attentions: list[AttentionFeatures] = []

    def attention(self, features: AttentionFeatures) -> str:
        """The name of the function for such an attention."""
        if features not in self._attentions:
            self._attentions.append(features)
        return numbered("attention", self._attentions.index(features) + 1)

    @property
    def name(self) -> str:
        return f"{self.module}.py"

    @property
    def empty(self) -> bool:
        return not self._attentions

    def text(self, source_name: str) -> str:
        """The whole file. The operators' namespace has a hash of the text, so that no two files share one."""
        variants = [_attention(features, number) for number, features in enumerate(self._attentions, 1)]
        shared = [TILES, *([DOCUMENT_SPANS] if any(one.documents for one in self._attentions) else [])]
        body = "\n\n\n".join(part.strip("\n") for part in (FUSED, OPERATORS, *shared, *variants)) + "\n"
        namespace = f"{self.stem}_{hashlib.sha256(body.encode()).hexdigest()[:6]}"
        doc = f'"""Kernels of {source_name}, and the plain forms that run without a GPU."""\n\n'
        functional = "import torch.nn.functional as F\n" if re.search(r"\bF\.", body) else ""
        return doc + HEAD.replace("_NAMESPACE_", namespace).replace("_FUNCTIONAL_", functional) + "\n" + body


def _attention(features: AttentionFeatures, number: int) -> str:
    kernels = specialised(features, number)
    # Without Triton the file can be read all the same.
    own = kernels.text.replace("@triton.jit", "@kernel").replace("= tl.constexpr(", "= constant(")
    return own.strip("\n") + "\n\n\n" + "\n".join(calling_lines(features, kernels, number))
