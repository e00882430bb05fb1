"""The optimizers of this version, one file each."""
