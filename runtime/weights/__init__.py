"""Weights that a training starts from: found in files, matched by name with those of the model, put in."""

from .start import StartingWeights, open_start

__all__ = ["StartingWeights", "open_start"]
