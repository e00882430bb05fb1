"""Calls as other tools write them: `nn.Linear(64, 32)`, `F.relu(x)`, `self.head(x)`."""

from __future__ import annotations

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..layers import registry
from ..semantics.language import SPELLINGS
from .context import Context

_MODULES = frozenset({"nn", "torch", "F", "functional", "keras", "layers", "tf", "flax", "jax", "jnp", "np", "math"})


def report_foreign(stage: tree.Stage, ctx: Context) -> bool:
    """Whether a dotted name is another tool's (reported), with what is written here instead."""
    head, *_, last = stage.path.parts
    if head == "self":
        message = "a label is named without `self`"
        help, fixes = f"write `{last}`", (Fix(stage.path.span, last),)
    elif head in _MODULES:
        known = SPELLINGS.get(last, last)
        there = registry.find(known) is not None
        message = f"`{stage.path}` is Python: layers and functions stand here by their names alone"
        help, fixes = (
            (f"write `{known}`", (Fix(stage.path.span, known),)) if there else ("take the part before the dot away", ())
        )
    elif head == "data":
        message = "the fields of the data are there in `loss` and `metrics`; a model has its inputs"
        help, fixes = f"make `{last}` an input of the model", ()
    else:
        return False
    ctx.report.error("unknown-name", message, stage.path.span, "not known here", help=help, fixes=fixes)
    return True
