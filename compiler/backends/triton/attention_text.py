"""The text of an attention's kernels, and of what calls them: launchers, operators, the function that a model calls."""

from __future__ import annotations

from ..pytorch.layout import fit
from .attention_features import AttentionFeatures
from .attention_launchers import AttentionLaunchers
from .attention_operators import AttentionOperators
from .attention_plain import plain_lines
from .attention_score import score_functions
from .attention_tiles import TABLES, table_lines
from .numbering import with_numbers
from .specialise import Specialised, specialise

KERNELS = (
    "attention_forward.attention_forward",
    "attention_backward.attention_delta",
    "attention_backward.attention_backward_keys",
    "attention_backward.attention_backward_queries",
)
BIAS_KERNEL = "attention_bias.attention_backward_bias"
"""Where something is added to the scores."""
DOCUMENTS_KERNEL = "attention_documents.attention_spans"
"""Where sequences are packed."""

_OPERATORS = ("attention_forward", "attention_backward", "attention_backward_bias")
_OWN_NAMES = (
    *_OPERATORS,
    *(f"launch_{name}" for name in _OPERATORS),
    *(f"{name}_shapes" for name in _OPERATORS),
    *("Attention", "attention", "attention_plain", "document_spans"),
)
"""What is defined beside the kernels, and the operators."""


def specialised(features: AttentionFeatures, number: int) -> Specialised:
    replaced = score_functions(features.score) if features.score is not None else {}
    return specialise(roots(features), features.constants(), replaced, number)


def roots(features: AttentionFeatures) -> tuple[str, ...]:
    """The kernels that are launched, "template.function" each."""
    more = [] if features.bias == "none" else [BIAS_KERNEL]
    return (*([DOCUMENTS_KERNEL] if features.documents else []), *KERNELS, *more)


def calling_lines(features: AttentionFeatures, kernels: Specialised, number: int) -> list[str]:
    """All but the kernels themselves. `number` is the variant's, and ends its names."""
    launchers, operators = AttentionLaunchers(features, kernels), AttentionOperators(features, kernels)
    tables = table_lines(
        features.tables,
        features.width,
        features.group,
        biased=launchers.biased,
        value_width=features.value_width,
        options=sum((features.softcap, features.alibi, features.score is not None, features.dropout)),
    )
    lines = [
        *tables,
        *(("", "", *launchers.spans()) if features.documents else ()),
        *("", "", *launchers.launch_forward()),
        *("", "", *launchers.launch_backward()),
        *(("", "", *launchers.launch_backward_bias()) if launchers.biased else ()),
        *("", "", *operators.operators()),
        *("", "", *operators.function()),
        *("", "", *operators.entry()),
        *("", "", *plain_lines(features, operators.given)),
    ]
    names = {*(kernel.split(".")[1] for kernel in roots(features)), *TABLES, *_OWN_NAMES}

    def named(line: str) -> str:
        # A docstring speaks of attention as such.
        return line if line.lstrip().startswith('"""') else with_numbers(line, names, number)

    return [part for line in lines for part in fit(named(line))]
