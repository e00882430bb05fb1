"""A linear layer with the activation behind it: the FLOPs of the layer, which outweigh the activation's."""

from __future__ import annotations

from .linear import KIND as KIND  # which is handed to the function, and not what runs
