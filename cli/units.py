"""Large numbers for people."""

from __future__ import annotations


def bytes_text(size: int) -> str:
    """`1.2 GB`, in powers of 1000."""
    return f"{count_text(size)}B" if size >= 1000 else f"{size} B"


def count_text(count: int) -> str:
    """`292 G`, `12.1 M`, three digits and a prefix; what follows is the unit."""
    value = float(count)
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 999.5:
            digits = (
                f"{value:.0f}" if value >= 99.95 or not prefix else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
            )
            return f"{digits} {prefix}"
        value /= 1000
    return f"{value:.3g} E"
