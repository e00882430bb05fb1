"""Large numbers for people."""

from __future__ import annotations

from ..compiler.magnitude import scaled


def bytes_text(size: int) -> str:
    """`1.20 GB`, in powers of 1000."""
    return f"{count_text(size)}B"


def count_text(count: int) -> str:
    """`292 G`, `12.1 M`, three digits and a prefix; what follows is the unit."""
    digits, prefix = scaled(count)
    return f"{digits} {prefix}"
