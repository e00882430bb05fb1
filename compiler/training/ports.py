"""What a `train` section has to know about its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.tensor import Type


class Ports(Frozen):
    """The inputs and outputs of a model by name, in order; types may be UNKNOWN where an error was reported.

    `ends_in` has the word of the last layer or function of an output (`softmax`), where it is one; `spans` where the
    ports are declared; `modules` the paths of the modules (`blocks.0.attn.q`), None where not all are known: `made` are
    then those that are, and `unmade` the names of others, `blocks.attn` whatever the copy.
    """

    model: str
    inputs: Mapping[str, Type]
    outputs: Mapping[str, Type]
    ends_in: Mapping[str, str] = field(default_factory=dict)
    spans: Mapping[str, Span] = field(default_factory=dict)
    modules: frozenset[str] | None = None
    made: frozenset[str] = frozenset()
    unmade: frozenset[str] = frozenset()
