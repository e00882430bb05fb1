"""Pure functions Graph -> Graph, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable

from ..ir.graph import Graph
from .drop import drop_idle, drop_training_only

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (drop_idle,)
"""What every emission gets."""

EXPORT_PASSES: tuple[Pass, ...] = (drop_training_only,)
"""What an exported model gets besides."""
