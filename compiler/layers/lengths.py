"""Lengths of axes behind a window that slides along them, in closed form also where the length is open.

    slid      (L + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1        convolutions and pooling
    spread    (L - 1) * stride - 2 * pad + dilation * (kernel - 1) + out_pad + 1        transposed convolutions

Plain numbers are folded, floors of floors too: (floor(a / b) + c) / d rounds down to the same as (a + b * c) / (b * d).
A floor is kept as `(L - r) // b + c` with 0 <= r < b, so that equal lengths are written equally: `(H - 1) // 2 + 1` for
a kernel of 3 or of 7, each with its padding.
"""

from __future__ import annotations

from ..semantics.number import Literal, Number, Operation, Reference, divides, is_whole, number, whole


def slid(length: Number, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> Number:
    """How many windows fit into an axis that is padded on both sides."""
    return shifted(floor_divided(length, before + after - dilation * (kernel - 1) - 1, stride), 1)


def slid_over(length: Number, kernel: int, stride: int, pad: int) -> Number:
    """As `slid`, with a last window that may hang over the end where it begins in the axis or the padding before."""
    return floor_divided(length, pad + min(0, pad + stride - kernel) + stride - 1, stride)


def spread(length: Number, kernel: int, stride: int, pad: int, dilation: int, out_pad: int) -> Number:
    """The length of which `slid` would make `length`, and `out_pad` more."""
    return shifted(times(length, stride), dilation * (kernel - 1) + out_pad + 1 - stride - 2 * pad)


def shifted(n: Number, by: int) -> Number:
    """n + by."""
    if by == 0:
        return n
    if n.value is not None:
        return number(whole(n) + by)
    base, offset = _parted(n)
    offset += by
    if offset == 0:
        return base
    return Operation("+" if offset > 0 else "-", (base, number(abs(offset))))


def times(n: Number, factor: int) -> Number:
    """n * factor."""
    if factor == 1:
        return n
    if n.value is not None:
        return number(whole(n) * factor)
    base, offset = _parted(n)
    match base:
        case Operation("*", (Literal() as left, right)) if is_whole(left):
            scaled: Number = Operation("*", (number(whole(left) * factor), right))
        case Operation("/", (left, Literal() as right)) if is_whole(right) and factor % whole(right) == 0:
            scaled = times(left, factor // whole(right))
        case _:
            scaled = Operation("*", (number(factor), base))
    return shifted(scaled, offset * factor)


def floor_divided(n: Number, shift: int, by: int) -> Number:
    """(n + shift) // by."""
    if n.value is not None:
        return number((whole(n) + shift) // by)
    base, offset = _parted(n)
    offset += shift
    if by == 1:
        return shifted(base, offset)
    match base:
        case Operation("//", (inner, Literal() as step)) if is_whole(step):
            return floor_divided(inner, offset * whole(step), by * whole(step))
    part = divided(base, by)
    if part is not None:
        return shifted(part, offset // by)
    rest = -(-offset % by)
    return shifted(Operation("//", (shifted(base, rest), number(by))), (offset - rest) // by)


def divided(n: Number, by: int) -> Number | None:
    """n / by where that is certainly whole, else None."""
    if by == 1:
        return n
    if not divides(number(by), n):
        return None
    if n.value is not None:
        return number(whole(n) // by)
    base, offset = _parted(n)
    if offset % by:
        return Operation("/", (n, number(by)))
    match base:
        case Operation("*", (Literal() as factor, rest) | (rest, Literal() as factor)) if _holds(by, factor):
            left = whole(factor) // by
            part = rest if left == 1 else Operation("*", (number(left), rest))
        case Operation("/", (inner, Literal() as step)) if is_whole(step):
            part = Operation("/", (inner, number(whole(step) * by)))
        case _:
            part = Operation("/", (base, number(by)))
    return shifted(part, offset // by)


def _holds(by: int, factor: Number) -> bool:
    return is_whole(factor) and whole(factor) % by == 0


def _parted(n: Number) -> tuple[Number, int]:
    """An open number as what is open and a whole number that is added to it."""
    match n:
        case Reference(kind="dim", name=name, target=target) if target is not None and name[0].islower():
            return _parted(target)  # a block's dim that its signature does not name
        case Operation("+", (a, b)) if b.value is not None and is_whole(b):
            base, offset = _parted(a)
            return base, offset + whole(b)
        case Operation("+", (a, b)) if a.value is not None and is_whole(a):
            base, offset = _parted(b)
            return base, offset + whole(a)
        case Operation("-", (a, b)) if b.value is not None and is_whole(b):
            base, offset = _parted(a)
            return base, offset - whole(b)
    return n, 0
