"""Whether the weights of a file are those of a model: nothing is left over on either side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ..errors import Refused
from .family import Family
from .files import Stored, WeightFiles
from .model_weights import ModelWeights
from .pattern import Pattern
from .renaming import Move, Renamed, rename

FLOATS = ("F64", "F32", "F16", "BF16")
# More lines than these help nobody.
LISTED = 8


@dataclass(frozen=True)
class Skip:
    """What is not taken: a module of the model, or with `pattern` also what has such a name in the file."""

    name: str
    pattern: bool

    def matches(self, name: str) -> bool:
        text = self.name
        return Pattern(text).match(name) is not None if self.pattern else name == text or name.startswith(f"{text}.")


@dataclass(frozen=True)
class Fit:
    """`moves` are what goes where, less the `kept`; `drawn` the modules that keep the weights they were drawn with."""

    moves: tuple[Move, ...]
    kept: frozenset[str]
    drawn: tuple[str, ...]


def fit_weights(
    files: WeightFiles,
    own: ModelWeights,
    entries: Sequence[Renamed],
    skip: Sequence[Skip],
    family: Family | None,
) -> Fit:
    """Raises Refused with all that does not fit, by name, with shapes and the names that are near."""
    shapes = {name: tuple(tensor.shape) for name, tensor in own.tensors.items()}
    short = {(family.short(name) if family else name): name for name in files.weights}
    taken = {name: full for name, full in short.items() if not _left_out(name, full, skip, family)}
    renaming = rename(taken, entries)
    moves = [
        Move(tuple(taken[source] for source in move.sources), move.targets, move.changes)
        for move in renaming.moves
        if not all(_skipped(target, skip) for target in move.targets)
    ]
    unused = [move for move in moves if any(target not in shapes for target in move.targets)]
    moves = [move for move in moves if move not in unused]
    targets = [target for move in moves for target in move.targets if not _skipped(target, skip)]
    found = {own.first_names[target] for target in targets}
    drawn = [
        name for name in own.own if name not in found and any(_skipped(other, skip) for other in own.names_of(name))
    ]
    missing = [name for name in own.own if not (name in found or name in drawn or own.follows(name, found))]
    left = {source: files.weights[source].shape for move in unused for source in move.sources}
    lines = [
        *_listed([] if family else _idle_entries(entries, renaming.used, files.weights)),
        *_listed(_idle_skips(skip, files.weights, shapes, short)),
        *_unused(left, {name: shapes[name] for name in missing}),
        *_missing({name: shapes[name] for name in missing}, left),
        *_listed(f"{name} is joined with {other}, which the file has not" for name, other in renaming.lacking),
        *_listed(line for move in moves for line in _misfits(move, files, own)),
    ]
    if lines:
        raise Refused(f"{files.shown} does not fit the model:\n" + "\n".join(lines), _help(left, missing))
    kept = frozenset(target for move in moves for target in move.targets if _skipped(target, skip))
    return Fit(tuple(moves), kept, tuple(dict.fromkeys(name.rpartition(".")[0] or name for name in drawn)))


def _skipped(target: str, skip: Sequence[Skip]) -> bool:
    return any(one.matches(target) for one in skip)


def _left_out(name: str, full: str, skip: Sequence[Skip], family: Family | None) -> bool:
    if family is not None and any(pattern.match(name) for pattern in family.skip):
        return True
    return any(one.pattern and (one.matches(name) or one.matches(full)) for one in skip)


# --- what does not fit -------------------------------------------------------------------------------------------


def _unused(left: Mapping[str, tuple[int, ...]], missing: Mapping[str, tuple[int, ...]]) -> list[str]:
    return _listed(f"in the file and not used: {line}" for line in _grouped(left, missing, "of the model"))


def _missing(missing: Mapping[str, tuple[int, ...]], left: Mapping[str, tuple[int, ...]]) -> list[str]:
    return _listed(f"in the model and not found: {line}" for line in _grouped(missing, left, "of the file"))


def _grouped(names: Mapping[str, tuple[int, ...]], others: Mapping[str, tuple[int, ...]], whose: str) -> Iterable[str]:
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


def _nearest(name: str, shape: tuple[int, ...], others: Mapping[str, tuple[int, ...]]) -> str | None:
    """The name that is most like one, of those of the same shape before others."""
    alike = [other for other, its in others.items() if its == shape]
    found = get_close_matches(name, alike, 1, 0.5) or get_close_matches(name, others, 1, 0.7)
    return found[0] if found else None


def _starred(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", name)


def _misfits(move: Move, files: WeightFiles, own: ModelWeights) -> Iterable[str]:
    """What of a move goes wrong by dtypes or shapes."""
    sources = [files.weights[name] for name in move.sources]
    targets = {name: tuple(own.tensors[name].shape) for name in move.targets}
    for one in sources:
        floating = own.tensors[move.targets[0]].is_floating_point()
        if (one.dtype in FLOATS) != floating or (not floating and one.dtype[0] not in "IU"):
            dtype = str(own.tensors[move.targets[0]].dtype).removeprefix("torch.")
            yield f"{one.name} is {one.dtype} in the file, and {move.targets[0]} is {dtype} in the model"
            return
    shapes = [_transposed(one.shape) if "transpose" in move.changes else one.shape for one in sources]
    if None in shapes:
        yield f"{sources[0].name} is {list(sources[0].shape)} in the file: `transpose` turns matrices"
        return
    whole = [shape for shape in shapes if shape is not None]
    if "reshape" in move.changes:
        yield from _reshaped(sources[0], targets)
    elif _stacked(whole) != _stacked(list(targets.values())):
        yield _shapes(sources, targets, move)


def _transposed(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    return shape[::-1] if len(shape) <= 2 else None


def _stacked(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The shape of matrices whose rows lie one below the other; None where they do not."""
    if len(shapes) == 1:
        return shapes[0]
    if any(not shape or shape[1:] != shapes[0][1:] for shape in shapes):
        return None
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def _reshaped(source: Stored, targets: Mapping[str, tuple[int, ...]]) -> Iterable[str]:
    ((name, shape),) = targets.items()
    there, here = _count(source.shape), _count(shape)
    if there != here:
        numbers = f"{there:,} numbers in the file, {list(source.shape)}"
        yield f"{source.name} has {numbers}, and {name} {here:,} in the model, {list(shape)}"


def _count(shape: Iterable[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _shapes(sources: Sequence[Stored], targets: Mapping[str, tuple[int, ...]], move: Move) -> str:
    there = " and ".join(f"{one.name} {list(one.shape)}" for one in sources)
    here = " and ".join(f"{name} {list(shape)}" for name, shape in targets.items())
    turned = " transposed" if "transpose" in move.changes else ""
    line = f"{there} of the file{turned} is not {here} of the model"
    first, shape = sources[0].shape, next(iter(targets.values()))
    if len(sources) > 1 or len(targets) > 1 or move.changes:
        return line
    if first == shape[::-1] and len(shape) == 2:
        return f"{line}: `-> transpose ->` in its entry of `map` turns it"
    return f"{line}: `-> reshape ->` in its entry of `map` does that" if _count(first) == _count(shape) else line


def _idle_entries(entries: Sequence[Renamed], used: frozenset[str], names: Mapping[str, Stored]) -> Iterable[str]:
    for pattern in (old for entry in entries for old in entry.old if old.text not in used):
        near = get_close_matches(pattern.text, {_starred(name) for name in names}, 1)
        more = f"; near to it is {near[0]}" if near else ""
        longer = any(pattern.match(name) for name in names)
        why = "longer names of the map take all of it" if longer else "the file has nothing of that name"
        yield f"`map` names `{pattern.text}`, and {why}{'' if longer else more}"


def _idle_skips(
    skip: Sequence[Skip], names: Mapping[str, Stored], shapes: Mapping[str, tuple[int, ...]], short: Iterable[str]
) -> Iterable[str]:
    known = {*names, *short, *shapes}
    for one in skip:
        if not any(one.matches(name) for name in known):
            near = get_close_matches(one.name, {_starred(name) for name in known}, 1)
            more = f"; near to it is {near[0]}" if near else ""
            yield f"`skip` names `{one.name}`, and neither the file nor the model has it{more}"


def _listed(lines: Iterable[str]) -> list[str]:
    found = [f"  {line}" for line in dict.fromkeys(lines)]
    return found if len(found) <= LISTED else [*found[:LISTED], f"  and {len(found) - LISTED} more"]


def _help(left: Mapping[str, tuple[int, ...]], missing: Sequence[str]) -> str:
    if left and missing:
        return 'Name in `map` what is called otherwise, `"name in the file" -> "name in the model"`; `skip` leaves out.'
    if left:
        return f'`skip = ["{_module(_starred(next(iter(left))))}"]` leaves it out.'
    if missing:
        text = _module(_starred(missing[0]))
        quoted = f'"{text}"' if "*" in text else text
        return f"`skip = [{quoted}]` keeps what it is drawn with."
    return ""


def _module(name: str) -> str:
    return name.rpartition(".")[0] or name
