"""Readable PyTorch modules and recipes."""
