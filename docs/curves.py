"""Curves as an SVG file: a few lines over one axis, with their names at their ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 96, 16, 44
COLOURS = ("#1f6feb", "#d1481a", "#2d8a4e", "#8250df")
INK = "#57606a"


@dataclass(frozen=True)
class Curve:
    """Points (x, y) in the order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


def drawn(curves: Sequence[Curve], *, across: str, up: str) -> str:
    """The text of the file; `across` and `up` name the axes."""
    xs, ys = ([point[axis] for curve in curves for point in curve.points] for axis in (0, 1))
    right, marks = max(xs), _ticks(min(ys), max(ys))
    low, high = marks[0], marks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * x / right,
            TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low),
        )

    end, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{up} over {across}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for mark in marks:
        _, y = place(0, mark)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{end}" y2="{y:.1f}" stroke="#d8dee4"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{mark:g}</text>')
    for mark in _ticks(0, right):
        if mark <= right:
            x, _ = place(mark, low)
            parts.append(f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle" fill="{INK}">{mark:g}</text>')
    parts.append(f'<text x="{(LEFT + end) / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle" fill="{INK}">{across}</text>')
    middle = f"{(TOP + floor) / 2:.1f}"
    turned = f'transform="rotate(-90 14 {middle})"'
    parts.append(f'<text x="14" y="{middle}" text-anchor="middle" fill="{INK}" {turned}>{up}</text>')
    for curve, colour in zip(curves, COLOURS, strict=False):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve.points))
        x, y = place(*curve.points[-1])
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{colour}">{curve.name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers, from at most `low` to at least `high`."""
    rough = (high - low) / 4 or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(unit * power for unit in (1, 2, 5, 10) if unit * power >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]
