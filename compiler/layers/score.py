"""What `score = tilt(slope = Weight([heads]))` gives an attention: a function of the file, with its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ...grammar.frozen import Frozen
from ..semantics.evaluate import is_number
from ..semantics.number import Number, Reference, references
from .side import Side

if TYPE_CHECKING:
    from ..scalars import Expression, ScalarFunction
    from .weight import Weight


class ScoreFunction(Frozen, eq=False):
    """`f(s, q, k, h, ...)`: a new score from the score, the places of query and key, and the head.

    `arguments` are those beyond these four, by name: a number, or an entry for each head. These are a value that flows,
    or a `Weight` that was made there and is the attention's own.
    """

    function: ScalarFunction
    arguments: Mapping[str, Number | Side | Weight]

    @property
    def sides(self) -> dict[str, Side]:
        return {name: value for name, value in self.arguments.items() if isinstance(value, Side)}

    @property
    def weights(self) -> dict[str, Weight]:
        from .weight import Weight  # which is a layer, and layers have options like this one

        return {name: value for name, value in self.arguments.items() if isinstance(value, Weight)}

    @property
    def by_head(self) -> tuple[str, ...]:
        """The arguments that have an entry for each head."""
        return (*self.sides, *self.weights)

    @cached_property
    def expression(self) -> Expression:
        """Over s, q, k, h and the names of `by_head`; numbers are put in, calls written out."""
        from ..scalars import SCORE, Constant, Variable, applied  # most attentions have no such score

        named = {
            name: Constant(value) if is_number(value) else Variable(name) for name, value in self.arguments.items()
        }
        return applied(self.function, map(Variable, SCORE), named)

    def names(self) -> dict[Reference, str]:
        """The constants, parameters and indices that the numbers are written with -> what they are in the class."""
        from ..scalars.expression import Constant, nodes

        constants = [node for node in nodes(self.expression) if isinstance(node, Constant)]
        found: dict[Reference, str] = {}
        for reference in (name for constant in constants for name in references(constant.number)):
            if reference not in found:
                alike = sum(other.name == reference.name for other in found)
                found[reference] = f"score_{reference.name}{f'_{alike + 1}' if alike else ''}"
        return found


NAMES = frozenset(
    """
    self dim heads memory_dim kv_heads head_dim length base q_norm k_norm scale softcap window prefix dropout
    x memory documents score mask q k v o rotary scores position query key distance seen head group torch math nn
    """.split()
)
"""Those that stand in the emitted class of an attention."""


def own_name(name: str) -> str:
    """A name of the file in the emitted class, where it may not be one that stands there already."""
    return f"{name}_" if name in NAMES else name
