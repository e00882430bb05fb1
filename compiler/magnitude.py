"""Large numbers in three digits, however large they are."""

from __future__ import annotations

# Of the SI, a thousand times larger each; what is larger than the last stands as a power of ten.
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")
_EXACT = 10**15
"""Below it a float holds every whole number; three digits need no more."""


def scaled(count: int) -> tuple[str, str]:
    """Three digits and the prefix that stands before the unit: 12,100,000 is `12.1` and `M`, 10**33 `1.00e33` and none.

    What is below a thousand is whole: `272` and no prefix.
    """
    thousands = 0
    while count >= _EXACT:
        count, thousands = count // 1000, thousands + 1
    value = float(count)
    while value >= 999.5:
        value, thousands = value / 1000, thousands + 1
    if thousands >= len(_PREFIXES):
        digits, power = f"{value:.2e}".split("e")
        return f"{digits}e{3 * thousands + int(power)}", ""
    decimals = 0 if not thousands or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{decimals}f}", _PREFIXES[thousands]
