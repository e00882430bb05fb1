"""What is left over of a file or of a model, with the names that may be meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from .renaming import Renamed
from .skip import Skip

Shapes = Mapping[str, tuple[int, ...]]


def unused(left: Shapes, missing: Shapes) -> Iterable[str]:
    """What the file has and the model has not."""
    return (f"in the file and not used: {line}" for line in _grouped(left, missing, "of the model"))


def not_found(missing: Shapes, left: Shapes) -> Iterable[str]:
    """What the model has and the file has not."""
    return (f"in the model and not found: {line}" for line in _grouped(missing, left, "of the file"))


def _grouped(names: Shapes, others: Shapes, whose: str) -> Iterable[str]:
    """One line for what differs in numbers only, `h.*.ln_1.weight [768] (12 of them)`, with what it may be."""
    groups: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, shape in names.items():
        groups.setdefault((_starred(name), shape), []).append(name)
    for (pattern, shape), members in groups.items():
        shown = (
            f"{pattern} {list(shape)} ({len(members)} of them)" if len(members) > 1 else f"{members[0]} {list(shape)}"
        )
        near = _nearest(members[0], shape, others)
        yield shown if near is None else f"{shown}; near to it is {near} {list(others[near])} {whose}"


def _nearest(name: str, shape: tuple[int, ...], others: Shapes) -> str | None:
    """The name that is most like one, of those of the same shape before others."""
    alike = [other for other, its in others.items() if its == shape]
    found = get_close_matches(name, alike, 1, 0.5) or get_close_matches(name, others, 1, 0.7)
    return found[0] if found else None


def _starred(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", name)


def idle_entries(
    entries: Sequence[Renamed], used: Collection[str], names: Collection[str], taken: Collection[str]
) -> Iterable[str]:
    """Entries of `map` that nothing in the file goes by; `taken` are the names that `skip` has left."""
    for pattern in (old for entry in entries for old in entry.old if old.text not in used):
        if any(pattern.match(name) for name in taken):
            why = "longer names of the map take all of it"
        elif any(pattern.match(name) for name in names):
            why = "`skip` leaves all of it out"
        else:
            why = "the file has nothing of that name"
            near = get_close_matches(pattern.text, {_starred(name) for name in names}, 1)
            why += f"; near to it is {near[0]}" if near else ""
        yield f"`map` names `{pattern.text}`, and {why}"


def idle_skips(skip: Sequence[Skip], names: Collection[str]) -> Iterable[str]:
    """What `skip` names and neither side has."""
    for one in skip:
        if not any(one.matches(name) for name in names):
            near = get_close_matches(one.name, {_starred(name) for name in names}, 1)
            more = f"; near to it is {near[0]}" if near else ""
            yield f"`skip` names `{one.name}`, and neither the file nor the model has it{more}"


def remedy(left: Shapes, missing: Shapes) -> str:
    """What to write for what is left over."""
    if left and missing:
        return 'Name in `map` what is called otherwise, `"name in the file" -> "name in the model"`; `skip` leaves out.'
    if left:
        return f'`skip = ["{_module(_starred(next(iter(left))))}"]` leaves it out.'
    if missing:
        text = _module(_starred(next(iter(missing))))
        quoted = f'"{text}"' if "*" in text else text
        return f"`skip = [{quoted}]` keeps what it is drawn with."
    return ""


def _module(name: str) -> str:
    return name.rpartition(".")[0] or name
