"""What is wrong with data. Needs no PyTorch, as all that reads a table for an exported model."""

from __future__ import annotations

from ..errors import RuntimeFault


class DataError(RuntimeFault):
    """Data that is missing, damaged or unfit."""
