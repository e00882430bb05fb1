"""Whether the weights of a file are those of a model: nothing is left over on either side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import Refused
from .family import Family
from .files import WeightFiles
from .leftovers import idle_entries, idle_skips, not_found, remedy, unused
from .model_weights import ModelWeights
from .renaming import Move, Renamed, rename
from .shapes import misfits
from .skip import Skip

# More lines than these help nobody.
LISTED = 8


@dataclass(frozen=True)
class Fit:
    """`moves` are what goes where, less the `kept`; `drawn` the modules that keep the weights they were drawn with."""

    moves: tuple[Move, ...]
    kept: frozenset[str]
    drawn: tuple[str, ...]


def fit_weights(
    files: WeightFiles, own: ModelWeights, entries: Sequence[Renamed], skip: Sequence[Skip], family: Family | None
) -> Fit:
    """Raises Refused with all that does not fit, by name, with shapes and the names that are near."""
    shapes = {name: tuple(tensor.shape) for name, tensor in own.tensors.items()}
    names = _names(files, family)
    taken = {name: full for name, full in names.items() if not _left_out(name, full, skip, family)}
    renaming = rename(taken, entries)
    moves = [
        Move(tuple(taken[source] for source in move.sources), move.targets, move.changes)
        for move in renaming.moves
        if not all(_skipped(target, skip) for target in move.targets)
    ]
    astray = [move for move in moves if any(target not in shapes for target in move.targets)]
    moves = [move for move in moves if move not in astray]
    targets = [target for move in moves for target in move.targets]
    found = {own.first_names[target] for target in targets if not _skipped(target, skip)}
    others = [name for name in own.own if name not in found]
    drawn = [name for name in others if any(_skipped(one, skip) for one in own.names_of(name))]
    missing = {name: shapes[name] for name in others if name not in drawn and not own.follows(name, found)}
    left = {source: files.weights[source].shape for move in astray for source in move.sources}
    lines = [
        *_listed([] if family else idle_entries(entries, renaming.used, files.weights, taken)),
        *_listed(idle_skips(skip, {*files.weights, *names, *shapes})),
        *_listed(unused(left, missing)),
        *_listed(not_found(missing, left)),
        *_listed(f"{name} is joined with {other}, which the file has not" for name, other in renaming.lacking),
        *_listed(line for move in moves for line in misfits(move, files, own)),
    ]
    if lines:
        raise Refused(f"{files.shown} does not fit the model:\n" + "\n".join(lines), remedy(left, missing))
    kept = frozenset(target for target in targets if _skipped(target, skip))
    return Fit(tuple(moves), kept, tuple(dict.fromkeys(name.rpartition(".")[0] or name for name in drawn)))


def _names(files: WeightFiles, family: Family | None) -> dict[str, str]:
    """The names in the files by what maps know them as. One whose short form is another's name keeps its own."""
    if family is None:
        return {name: name for name in files.weights}
    short = {name: family.short(name) for name in files.weights}
    return {name if text != name and text in short else text: name for name, text in short.items()}


def _skipped(target: str, skip: Sequence[Skip]) -> bool:
    return any(one.matches(target) for one in skip)


def _left_out(name: str, full: str, skip: Sequence[Skip], family: Family | None) -> bool:
    if family is not None and any(pattern.match(name) for pattern in family.skip):
        return True
    return any(one.pattern and (one.matches(name) or one.matches(full)) for one in skip)


def _listed(lines: Iterable[str]) -> list[str]:
    found = [f"  {line}" for line in dict.fromkeys(lines)]
    return found if len(found) <= LISTED else [*found[:LISTED], f"  and {len(found) - LISTED} more"]
