"""A norm that is handed a residual stream and the branch still to be added to it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from ...layers.base import Code, Layer, Parameter
from ...layers.layer_norm import LayerNorm
from ...layers.rms_norm import RMSNorm
from ...layers.side import Side
from ...options import Kind
from ...semantics.tensor import Tensor


def as_is(value: Any) -> Any:
    return value


class AddedNorm(Layer):
    """`x + branch`, and its norm: two of [..., D]. It stands in no spec: `fuse_adds` puts it into a graph."""

    word: ClassVar[str] = "AddedNorm"

    norm: Annotated[Any, Kind(as_is)]
    branch: Annotated[Any, Kind(as_is)]
    optional: Annotated[Any, Kind(as_is)] = False
    """Whether the branch may be missing: the first of several copies has none."""
    dropout: Annotated[Any, Kind(as_is)] = None
    """A Dropout that the branch still has to go through."""
    narrow: Annotated[Any, Kind(as_is)] = False
    """Whether what is normed goes into products alone, which round it under autocast: `narrow_norms` says so."""

    @property
    def of(self) -> LayerNorm | RMSNorm:
        return self.norm

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return x, x

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return self.of.parameters(x)

    def sides(self) -> tuple[Side, ...]:
        return (self.branch,)

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        drop = "" if self.dropout is None else f", drop={code.number(self.dropout.p)}"
        return f"{code.fused(self, x)}({self.of.arguments(x, code)}{drop})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x}, {self.branch})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return self.of.initialise(module, x, code)
