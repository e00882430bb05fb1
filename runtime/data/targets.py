"""The numbers of targets, held against what the loss and the metrics take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import Refused
from ..settings import Settings, Target
from .dataset import IGNORED, Data, Split
from .rows import Rows

# Kind of target -> what is taken, and what to write instead of others.
_TAKEN = {
    "unit": ("targets from 0 to 1", "write 1 for yes and 0 for no; for numbers of any size there is `mse`"),
    "signs": ("targets of 1 or -1", "of what is 1 for yes and 0 for no, store 2 * {field} - 1"),
    "flags": ("targets of 1, and 0 or -1", "write 1 for what is true, and 0 for the rest"),
}


def unfit_numbers(settings: Settings, data: Data) -> Iterator[tuple[str, str]]:
    """What is said of targets that are no such numbers, and the help, where all of the data lies in memory."""
    for target in _of_numbers(settings):
        for split in (data.train, data.validation):
            found = None
            if isinstance(split, Rows) and target.field in data.fields:
                found = _unfit(target, split.column(target.field), split.numbers, settings.loss.ignore)
            if found is not None:
                yield found
                break


def watched(settings: Settings, data: Data) -> Data:
    """The data, each batch of which is refused where its targets are no such numbers: of what is read piece by piece
    nobody has seen all."""
    targets = _of_numbers(settings)
    if not targets:
        return data
    parts = [
        split if split is None or isinstance(split, Rows) else _Watched(split, targets, settings.loss.ignore)
        for split in (data.train, data.validation)
    ]
    assert parts[0] is not None
    return replace(data, train=parts[0], validation=parts[1])


class _Watched(Split):
    def __init__(self, split: Split, targets: Sequence[Target], ignore: int | None) -> None:
        self._split = split
        self._targets = targets
        self._ignore = ignore

    def __len__(self) -> int:
        return len(self._split)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        """Raises Refused for targets that the loss or a metric does not take."""
        batch = self._split.batch(epoch, ids)
        _require_numbers(self._targets, batch, ids, self._ignore)
        return batch

    def in_evaluation(self) -> Split:
        return _Watched(self._split.in_evaluation(), self._targets, self._ignore)


def _require_numbers(targets: Sequence[Target], batch: Mapping[str, Tensor], ids: Tensor, ignore: int | None) -> None:
    for target in targets:
        found = _unfit(target, batch[target.field], ids, ignore)
        if found is not None:
            raise Refused(*found)


def _of_numbers(settings: Settings) -> list[Target]:
    return [target for target in settings.targets if target.takes in _TAKEN]


def _unfit(target: Target, numbers: Tensor, ids: Tensor, ignore: int | None) -> tuple[str, str] | None:
    """What is said of the first target that is no such number; `ids` are those of the examples."""
    if numbers.dtype == torch.bool:
        # Of these only the signs want numbers below 0.
        fits = numbers if target.takes == "signs" else torch.ones_like(numbers)
    elif target.takes == "unit":
        fits = (numbers >= 0) & (numbers <= 1)
    elif target.takes == "signs":
        fits = numbers.abs() == 1
    else:
        fits = (numbers == 1) | (numbers == 0) | (numbers == -1) | (numbers == IGNORED) | (numbers == (ignore or 0))
    if fits.all():
        return None
    rows = (~fits).reshape(len(fits), -1).any(1).nonzero().flatten()
    row = rows[ids[rows].argmin()]
    value, example = numbers[row][~fits[row]].flatten()[0].item(), int(ids[row])
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    taken, help = _TAKEN[target.takes]
    if target.takes == "unit" and numbers.dim() == 4:
        help = "pictures lie from 0 to 1 until `normalize` moves them; for numbers of any size there is `mse`"
    facts = f"{target.word} takes {taken}, and the field {target.field} holds {shown} (example {example:,})"
    return facts, help.format(field=target.field)
