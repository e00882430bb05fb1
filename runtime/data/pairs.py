"""Two files that say the same, line by line, as tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..text import Marks, Tokenizer, TokenizerError, marks_of
from . import options
from .dataset import IGNORED, Data, Field, Split
from .faults import DataError
from .files import Fingerprint, FoundFile, find_files, fingerprint_of, read_file
from .options import Options
from .rows import kept_back
from .tokenizer import make_tokenizer
from .unpacking import unpacked
from .utf8 import decoded

_CONTROL = "\0\2\3"


@dataclass(frozen=True)
class Lines:
    """Lines of text of the two sides, as many of each; `name` is how messages call them."""

    name: str
    source: list[str]
    target: list[str]


@dataclass(frozen=True)
class Ragged:
    """Rows of tokens of different lengths, one behind the other; row i ends before `ends[i]`."""

    tokens: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[NDArray[np.int64]]) -> Ragged:
        return cls(
            np.concatenate([np.zeros(0, np.int64), *rows]), np.cumsum([len(row) for row in rows], dtype=np.int64)
        )

    def filled(self, ids: NDArray[np.int64], width: int, fill: int) -> NDArray[np.int64]:
        """Some rows, [ids, width], filled up behind their ends."""
        ends = self.ends[ids]
        starts = np.where(ids > 0, self.ends[ids - 1], 0)
        places = starts[:, None] + np.arange(width)
        inside = places < ends[:, None]
        return np.where(inside, self.tokens[np.minimum(places, len(self.tokens) - 1)], fill)


class TokenPairs(Split):
    """Pairs of rows as the fields `source`, `target` and `targets`, int[window]:

    source   a b c E - -      what is read: a line and its end, filled up with token 0
    target   S x y - - -      what a decoder reads: the start and the line
    targets  x y E . . .      what it is to say: the same one token further on; . is -100
    """

    def __init__(self, source: Ragged, target: Ragged, rows: NDArray[np.int64], window: int, marks: Marks) -> None:
        self._source, self._target, self._rows = source, target, rows
        self._window, self._marks = window, marks

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        rows, marks = self._rows[ids.numpy()], self._marks
        targets = self._target.filled(rows, self._window, IGNORED)
        target = np.full_like(targets, marks.fill)
        target[:, 0] = marks.start
        target[:, 1:] = targets[:, :-1]
        # What follows the end is not read, nor is the end itself.
        target[:, 1:][(targets[:, 1:] == IGNORED)] = marks.fill
        fields = {"source": self._source.filled(rows, self._window, marks.fill), "target": target, "targets": targets}
        return {name: torch.from_numpy(field) for name, field in fields.items()}


def open_pairs(settings: Options, base: Path) -> Data:
    """Lines that are empty or longer than the window are left out, on both sides, and counted. The tokenizer is that
    of both sides: bpe learns from the training part, `characters` knows all that occur."""
    window = options.whole_number(settings, "window", least=2)
    fingerprint: dict[str, Fingerprint] = {}
    lines = _read(_listed(settings, "source"), _listed(settings, "target"), base, fingerprint)
    held: Lines | None = None
    if settings.get("validation"):
        source, target = settings["validation"]
        held = _read([source], [target], base, fingerprint)
        learned = [*lines.source, *lines.target]
        rows = kept = np.arange(0)
    else:
        rows, kept = kept_back(len(lines.source), options.split(settings), lines.name)
        learned = [side[row] for side in (lines.source, lines.target) for row in np.sort(rows)]
    everything = [*lines.source, *lines.target, *(held.source + held.target if held is not None else [])]
    tokenizer = make_tokenizer(
        settings.get("tokenizer"),
        known=lambda: _CONTROL + "".join(everything),
        learned=lambda: "\n".join(learned),
        base=base,
        fingerprint=fingerprint,
        marked=True,
    )
    marks = marks_of(tokenizer)
    if marks is None:
        raise DataError(
            "the tokenizer has no token that ends a line, or its token 0 is text and cannot fill lines up",
            "take one whose token 0 is <pad> and that has </s>, as T5's; or let bpe(n) learn one",
        )
    notes: list[str] = []
    sides, whole = _tokens(lines, tokenizer, marks, window, notes)
    if held is None:
        train = TokenPairs(*sides, rows[np.isin(rows, whole)], window, marks)
        kept = kept[np.isin(kept, whole)]
        validation = TokenPairs(*sides, kept, window, marks) if len(kept) else None
    else:
        train = TokenPairs(*sides, whole, window, marks)
        others, fitting = _tokens(held, tokenizer, marks, window, notes)
        validation = TokenPairs(*others, fitting, window, marks)
    for split, what in ((train, "training"), (validation, "validation")):
        if split is not None and not len(split):
            raise DataError(
                f"no pair of the {what} part is left: all have an empty line, or more than {window:,} tokens",
                "look whether these are the right files, or write a larger window",
            )
    field = Field("int", (window,), tokenizer.vocabulary)
    return Data(
        train=train,
        validation=validation,
        fields={"source": field, "target": field, "targets": field},
        tokenizer=tokenizer,
        fingerprint=fingerprint,
        notes=tuple(notes),
    )


def _listed(settings: Options, name: str) -> list[str]:
    value = settings.get(name)
    return [value] if isinstance(value, str) else list(value or [])


def _read(source: Sequence[str], target: Sequence[str], base: Path, fingerprint: dict[str, Fingerprint]) -> Lines:
    """The lines of all files of the two sides. Raises DataError where two that belong together are unequal."""
    sources, targets = find_files(source, base), find_files(target, base)
    if len(sources) != len(targets):
        raise DataError(
            f"the source is {len(sources)} files, and the target {len(targets)}: they go in pairs",
            f"of the source the last is {sources[-1].name}, of the target {targets[-1].name}",
        )
    name = f"{sources[0].name} with {targets[0].name}" + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")
    lines = Lines(name, [], [])
    for one, other in zip(sources, targets, strict=True):
        first, second = (list(_lines(file, fingerprint)) for file in (one, other))
        if len(first) != len(second):
            raise DataError(
                f"{one.name} has {len(first):,} lines, and {other.name} {len(second):,}: a line of the one is the same "
                "line of the other",
                _first_gap(one, first, other, second),
            )
        lines.source.extend(first)
        lines.target.extend(second)
    return lines


def _lines(file: FoundFile, fingerprint: dict[str, Fingerprint]) -> Iterator[str]:
    content = read_file(file)
    fingerprint[file.name] = fingerprint_of(content)
    text = decoded(file, unpacked(file, content)).removeprefix("\ufeff")
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        if any(character in line for character in _CONTROL):
            raise DataError(
                f"{file.name}, line {number:,} holds a control character that is no text (U+0000, U+0002 or U+0003)",
                "they mark where a line starts, ends and is filled up: take it out",
            )
        yield line.removesuffix("\r")


def _first_gap(one: FoundFile, first: list[str], other: FoundFile, second: list[str]) -> str:
    """A line that is empty on one side only is where they came apart, most often."""
    for number, (left, right) in enumerate(zip(first, second, strict=False), start=1):
        if bool(left.strip()) != bool(right.strip()):
            return f"line {number:,} is empty in {other.name if left.strip() else one.name} only: look there first"
    shorter, longer = (one, other) if len(first) < len(second) else (other, one)
    return f"{shorter.name} may be cut off, or {longer.name} have a line broken in two"


def _tokens(
    lines: Lines, tokenizer: Tokenizer, marks: Marks, window: int, notes: list[str]
) -> tuple[tuple[Ragged, Ragged], NDArray[np.int64]]:
    """Both sides with the mark of their end, and the pairs that are neither empty nor too long; notes the others."""
    try:
        sides = [
            [np.append(row, marks.end).astype(np.int64) for row in tokenizer.encode_lines(side)]
            for side in (lines.source, lines.target)
        ]
    except TokenizerError as error:
        raise DataError(f"{lines.name}: {error.message}", error.help) from None
    lengths = np.array([[len(row) for row in side] for side in sides]).max(0)
    empty = np.array([not (a.strip() and b.strip()) for a, b in zip(lines.source, lines.target, strict=True)])
    long = (lengths > window) & ~empty
    if empty.any():
        notes.append(f"{lines.name}: {_counted(empty)} with an empty line left out")
    if long.any():
        most = int(lengths[~empty].max())
        told = f"{lines.name}: {_counted(long)} of more than {window:,} tokens left out, the longest of {most:,}"
        notes.append(f"{told} (the end of a line counts)")
    source, target = map(Ragged.of, sides)
    return (source, target), np.flatnonzero(~empty & ~long)


def _counted(which: NDArray[np.bool_]) -> str:
    count = int(which.sum())
    return f"{count:,} of {len(which):,} pairs"
