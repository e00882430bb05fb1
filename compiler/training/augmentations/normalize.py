"""normalize: pictures with a mean of 0 and a deviation of 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from ....grammar import tree
from ...options import Kind
from ...semantics.evaluate import FAULT, Scope, evaluate, is_number
from ...semantics.number import real
from ...semantics.report import Report
from ..augmentation import Augmentation, Fields, Unfit, pictures
from ..base import OptionFault, ReadBy
from ..values import NumbersOrNone

IMAGENET = "imagenet"

# Of pixels from 0 to 1 neither a mean nor a deviation lies above 1.
_LARGEST = 1


def _read_mean(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    match flow:
        case tree.Stage(path=tree.Path(parts=("imagenet",)), args=None, body=None):
            return IMAGENET
    unknown = isinstance(flow, tree.Stage) and flow.args is None and scope.find(flow.path.parts[0]) is None
    value = None if unknown else evaluate(flow, scope, report)
    listed = value if isinstance(value, tuple) else ()
    if value == IMAGENET or value is FAULT or (listed and all(is_number(n) and n.value is not None for n in listed)):
        return value
    label = "neither" if not isinstance(flow, tree.Stage) else "not known here"
    help = "write `normalize(imagenet)`, or a number for each channel: `normalize([0.5], [0.5])`"
    report.error("wrong-value", "`mean` takes a list of numbers or `imagenet`", flow.span, label, help=help)
    return FAULT


class Normalize(Augmentation):
    """`normalize([0.5], [0.25])`: `(x - mean) / std`, an entry of `mean` and `std` for each channel.

    `normalize(imagenet)` takes the means and deviations of ImageNet's three channels.
    """

    word: ClassVar[str] = "normalize"
    example: ClassVar[str] = "normalize([0.5], [0.25])"

    mean: Annotated[Any, Kind(lambda value: value), ReadBy(_read_mean, frozenset({IMAGENET}))]
    std: NumbersOrNone = None

    def faults(self) -> Iterator[OptionFault]:
        if self.mean == IMAGENET:
            if self.std is not None:
                message = "`imagenet` says the deviations too"
                yield OptionFault("conflict", message, "std", "one too many", "write `normalize(imagenet)`")
        elif self.std is None:
            message = "`normalize` needs `std`, a number for each channel"
            yield OptionFault("missing-option", message, None, "not given here", "such as `normalize([0.5], [0.5])`")
        elif len(self.mean) != len(self.std):
            message = f"`mean` has {len(self.mean)} entries, and `std` has {len(self.std)}"
            yield OptionFault("conflict", message, "std", "not as many", "give each channel one of both")
        elif any(real(n) <= 0 for n in self.std):
            yield OptionFault("wrong-value", "a deviation lies above 0", "std", "not all of them do", "such as [0.5]")

    def of_0_to_1(self) -> tuple[list[float], list[float]] | None:
        """The numbers divided by 255 where they are of pixels from 0 to 255; None where they are of those from 0 to
        1."""
        if self.mean == IMAGENET or self.std is None:
            return None
        mean, std = [real(n) for n in self.mean], [real(n) for n in self.std]
        if max(mean + std) <= _LARGEST:
            return None
        return [m / 255 for m in mean], [s / 255 for s in std]

    def after(self, fields: Fields) -> Fields:
        entries = 3 if self.mean == IMAGENET else len(self.mean)
        for channels, _, _ in pictures(self.word, fields).values():
            if channels.value not in (None, entries):
                what = "`imagenet` is" if self.mean == IMAGENET else "these are"
                mine = "1 channel" if entries == 1 else f"{entries} channels"
                message = f"{what} for {mine}, and the pictures have {channels.value}"
                each = f"[{', '.join(['0.5'] * int(channels.value or 1))}]"
                help = f"write `normalize({each}, {each})`, with numbers of your data"
                raise Unfit("unfit-augmentation", message, f"{entries} here", help, "mean")
        return fields
