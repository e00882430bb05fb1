"""Whether the weights of one model fit another, and what would have to be mapped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..ir.graph import Graph
from ..ir.weights import buffers, weights


@dataclass(frozen=True)
class Fit:
    """Keys that B has and A has not, the other way round, and those with other shapes; `mapped` pairs modules of A and
    B that hold the same, found by shape and order."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    mapped: tuple[tuple[str, str], ...]

    @property
    def loads(self) -> bool:
        return not (self.missing or self.unexpected or self.reshaped)


def fit(a: Graph, b: Graph) -> Fit:
    """How a checkpoint of `a` fits `b`."""
    have, want = ({w.key: w.shape for w in (*weights(g), *buffers(g)) if not w.shared} for g in (a, b))
    missing = [key for key in want if key not in have]
    unexpected = [key for key in have if key not in want]
    reshaped = tuple((key, have[key], want[key]) for key in want if key in have and have[key] != want[key])
    return Fit(
        tuple(missing), tuple(unexpected), reshaped, tuple(dict.fromkeys(_mapped(have, want, missing, unexpected)))
    )


def _mapped(
    have: dict[str, tuple[int, ...]], want: dict[str, tuple[int, ...]], missing: list[str], unexpected: list[str]
) -> Iterator[tuple[str, str]]:
    """Modules of A for modules of B that hold the same: those that end in the same name first, then in order."""
    theirs, ours = _modules(have, unexpected), _modules(want, missing)
    pairs: dict[str, str] = {}
    for alike in (True, False):
        left: dict[object, list[str]] = {}
        for old, holds in theirs.items():
            if old not in pairs.values():
                left.setdefault(_look(old, holds, alike), []).append(old)
        for new, holds in ours.items():
            candidates = left.get(_look(new, holds, alike))
            if new not in pairs and candidates:
                pairs[new] = candidates.pop(0)
    full = [_pattern(old, new) for new, old in pairs.items()]
    short = {pair: _without_common_end(pair) for pair in full}
    for pair in dict.fromkeys(full):
        head = short[pair][0]
        same = all(short[other] == short[pair] for other in full if f"{other[0]}.".startswith(f"{head}."))
        yield short[pair] if same else pair


def _modules(shapes: dict[str, tuple[int, ...]], keys: list[str]) -> dict[str, tuple[tuple[str, tuple[int, ...]], ...]]:
    found: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = {}
    for key in keys:
        module, _, name = key.rpartition(".")
        found[module] = (*found.get(module, ()), (name, shapes[key]))
    return found


def _look(module: str, holds: object, alike: bool) -> object:
    """What makes two modules go together: what they hold, and their copies and last name or, failing that, nothing."""
    copies = tuple(re.findall(r"(?<=\.)\d+(?=\.|$)", module))
    return (holds, copies, module.rpartition(".")[2]) if alike else holds


def _pattern(old: str, new: str) -> tuple[str, str]:
    """Two modules, with * for the copies of a `repeat` where both count them alike."""
    copies = r"(?<=\.)\d+(?=\.|$)"
    if re.findall(copies, old) == re.findall(copies, new):
        return re.sub(copies, "*", old), re.sub(copies, "*", new)
    return old, new


def _without_common_end(pair: tuple[str, str]) -> tuple[str, str]:
    old, new = (name.split(".") for name in pair)
    while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return ".".join(old), ".".join(new)
