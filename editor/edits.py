"""What differs between two versions of a text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """`start` to `end` of the older text were replaced; what follows has moved `by` code points."""

    start: int
    end: int
    by: int


def between(before: str, after: str) -> Edit:
    """The shortest edit that makes one text of another."""
    head = _shared(before, after)
    tail = min(_shared(before[::-1], after[::-1]), min(len(before), len(after)) - head)
    return Edit(head, len(before) - tail, len(after) - len(before))


def _shared(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
