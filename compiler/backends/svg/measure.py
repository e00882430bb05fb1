"""The lines of text of an item, and the room that they take. Units are those of the picture."""

from __future__ import annotations

from dataclasses import dataclass

from ...magnitude import scaled
from .figure import Item
from .font import text_width

TITLE, SMALL, HEAD = 12.0, 9.5, 18.0
LEADING = 1.3
PAD_X, PAD_Y = 10.0, 5.0
NARROWEST = 64.0
WIDEST_DETAILS = 176.0
SIGN = 20.0
LONGEST_CALL = 28  # characters of a function with its options on one line


@dataclass(frozen=True)
class Piece:
    """Text of one weight and shade."""

    text: str
    size: float
    bold: bool = False
    faint: bool = False

    @property
    def width(self) -> float:
        return text_width(self.text, self.size, bold=self.bold)


@dataclass(frozen=True)
class Line:
    pieces: tuple[Piece, ...]

    @property
    def width(self) -> float:
        return sum(piece.width for piece in self.pieces)

    @property
    def height(self) -> float:
        return max(piece.size for piece in self.pieces) * LEADING


def count_text(count: int) -> str:
    """`2.36 M`: three digits and a prefix; small counts whole."""
    if count < 10_000:
        return f"{count:,}"
    digits, prefix = scaled(count)
    return f"{digits} {prefix}".rstrip()


def box_lines(item: Item) -> tuple[Line, ...]:
    """What stands in a box, from the top."""
    times = f" × {item.count:,}" if item.count > 1 else ""
    light = not item.parameters and item.kind in ("activation", "regularisation", "shape", "plain")
    head = [Piece(f"{item.label}: ", TITLE, faint=True)] if item.label else []
    title, details = item.title, item.details
    if light and details and len(title) + len(details) < LONGEST_CALL:
        title, details = f"{title}({details})", ""
    lines = [Line((*head, Piece(title, TITLE, bold=not light)))]
    if times:
        lines[0] = Line((*lines[0].pieces, Piece(times, TITLE)))
    lines += [Line((Piece(text, SMALL),)) for text in wrapped(details)]
    if item.parameters:
        lines.append(Line((Piece(count_text(item.parameters), SMALL, faint=True),)))
    return tuple(lines)


def wrapped(text: str, widest: float = WIDEST_DETAILS, between: str = ", ") -> list[str]:
    """The text in lines of at most that width, broken behind commas."""
    lines: list[str] = []
    for part in text.split(between) if text else ():
        if lines and text_width(longer := f"{lines[-1]}{between}{part}", SMALL) <= widest:
            lines[-1] = longer
        else:
            if lines:
                lines[-1] += between.rstrip()
            lines.append(part)
    return lines


def box_size(item: Item) -> tuple[float, float]:
    """Width and height of an item that holds no flow."""
    if item.is_crossing:
        return 0.0, 0.0
    if item.kind == "sum":
        return SIGN, SIGN
    lines = box_lines(item)
    width = max(NARROWEST, *(line.width for line in lines)) + 2 * PAD_X
    return width, sum(line.height for line in lines) + 2 * PAD_Y


def frame_head(item: Item) -> tuple[Line, Line]:
    """What stands at the top of a frame: on the left its name, on the right how often and how many parameters."""
    name = [Piece(f"{item.label}: ", 10.5, faint=True)] if item.label else []
    left = [*name, Piece(item.title, 10.5, bold=True)]
    if item.details:
        left.append(Piece(f"  {item.details}", SMALL, faint=True))
    right = [Piece(f"× {item.count:,}", 10.5, bold=True)] if item.count > 1 else []
    if item.parameters:
        right.append(Piece(("  " if right else "") + count_text(item.parameters), SMALL, faint=True))
    return Line(tuple(left)), Line(tuple(right) or (Piece("", SMALL),))
