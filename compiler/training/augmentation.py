"""What an augmentation is: a stage behind a source of data, from the fields that come in to those that go out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.evaluate import Scope
from ..semantics.number import Number
from ..semantics.report import Report
from .base import Options
from .calls import Chosen, choose, read_call
from .language import AUGMENTATIONS
from .source import Field

Fields = Mapping[str, Field]

PICTURES = ("image", "view1", "view2")
"""The fields that hold pictures: both views where `two_views` has made them."""

MADE = ("view1", "view2", "targets")
"""The fields that some augmentation makes."""


class Unfit(Exception):
    """Fields that an augmentation is not for. `option` is the one to blame, `span` is set where it is known better."""

    def __init__(self, code: str, message: str, label: str, help: str = "", option: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.label, self.help, self.option = code, message, label, help, option
        self.span: Span | None = None


class Augmentation(Options):
    """Changes examples; `random_*`, `color_jitter`, `mixup` and `cutmix` do so in training only."""

    mixes: ClassVar[bool] = False
    """Whether labels become probabilities of the classes."""
    from_0_to_1: ClassVar[bool] = False
    """Whether it is for pixels from 0 to 1, and so stands before `normalize`."""

    @property
    def inside(self) -> tuple[Chosen[Augmentation], ...]:
        """The augmentations that it is made of."""
        return ()

    @abstractmethod
    def after(self, fields: Fields) -> Fields:
        """The fields that go out. Raises Unfit where those that come in are not what it is for."""

    @classmethod
    def roughly(cls, fields: Fields) -> Fields:
        """The fields that go out where not all is known of it, or of those that come in: which there are, and how many
        classes they tell apart."""
        return {name: known if known.dims == () else replace(known, dims=None) for name, known in fields.items()}


class Faulty(Frozen):
    """A stage of which something is wrong; `kind` is None where it is not known what it was to be."""

    kind: type[Augmentation] | None


def read_augmentations(
    stages: Sequence[tree.Flow], scope: Scope, report: Report
) -> tuple[Chosen[Augmentation] | Faulty, ...]:
    """The augmentations of a flow, in order; what is none, or wrong, is reported."""
    found: list[Chosen[Augmentation] | Faulty] = []
    for stage in stages:
        own = Report()
        chosen = choose(stage, "data", "augmentations", Augmentation, AUGMENTATIONS, scope, own)
        read = None if chosen is None else read_call(*chosen, own)
        for diagnostic in own.diagnostics:
            report.add(diagnostic)
        found.append(Faulty(None if chosen is None else chosen[0]) if read is None or own.failed else read)
    return tuple(found)


def check_order(augmentations: Iterable[Chosen[Augmentation] | Faulty], report: Report) -> None:
    """Reports what is for pixels from 0 to 1 and stands behind `normalize`."""
    normalized: Span | None = None
    for chosen in _flat(augmentations):
        if chosen.options.word == "normalize":
            normalized = chosen.span
        elif chosen.options.from_0_to_1 and normalized is not None:
            message = f"`{chosen.options.word}` is for pixels from 0 to 1, and `normalize` makes others of them"
            labels = ((normalized, "these are normalized"),)
            report.error("unfit-augmentation", message, chosen.span, "too late", help="put it first", labels=labels)


def check_units(augmentations: Iterable[Chosen[Augmentation] | Faulty], source: Span, report: Report) -> None:
    """Warns of a first `normalize` whose numbers are of pixels from 0 to 255, where those of the source are from 0 to
    1."""
    chosen = next((one for one in _flat(augmentations) if one.options.word == "normalize"), None)
    if chosen is None:
        return
    from .augmentations.normalize import Normalize

    better = chosen.options.of_0_to_1() if isinstance(chosen.options, Normalize) else None
    if better is None:
        return
    mean, std = (f"[{', '.join(f'{number:.3g}' for number in numbers)}]" for numbers in better)
    report.error(
        "unfit-augmentation",
        "`normalize` takes a mean and a deviation of pixels from 0 to 1, and these lie above 1",
        chosen.span,
        "of pixels from 0 to 255",
        help=f"divide them by 255: write `normalize({mean}, {std})`",
        labels=((source, "pixels from 0 to 1"),),
        fixes=(Fix(chosen.span, f"normalize({mean}, {std})"),),
        severity="warning",
    )


def _flat(augmentations: Iterable[Chosen[Augmentation] | Faulty]) -> Iterator[Chosen[Augmentation]]:
    for chosen in augmentations:
        if isinstance(chosen, Chosen):
            yield chosen
            yield from _flat(chosen.options.inside)


def fields_after(chosen: Chosen[Augmentation], fields: Fields) -> Fields:
    """Those that go out. Raises Unfit, with the place."""
    try:
        return chosen.options.after(fields)
    except Unfit as unfit:
        unfit.span = unfit.span or chosen.place(unfit.option)
        raise


def pictures(word: str, fields: Fields) -> dict[str, tuple[Number, Number, Number]]:
    """The fields that hold pictures, and their dims: channels, height, width. Raises Unfit where there are none."""
    found: dict[str, tuple[Number, Number, Number]] = {}
    for name in PICTURES:
        dims = fields[name].dims if name in fields else None
        if dims is not None and len(dims) == 3:
            channels, height, width = dims
            found[name] = channels, height, width
    if not found:
        listed = ", ".join(f"`{name}`" for name in fields)
        message = f"`{word}` is for pictures, and no field holds any"
        raise Unfit("unfit-augmentation", message, f"the fields are {listed}", "take it out")
    return found


def labelled_pictures(word: str, fields: Fields) -> None:
    """Raises Unfit where there are no pictures, or no labels to be mixed as they are."""
    pictures(word, fields)
    if "label" not in fields:
        message = f"`{word}` mixes labels too, and the data has no field `label`"
        raise Unfit("unfit-augmentation", message, "no label to mix", "take it out")


def resized(word: str, fields: Fields, size: tuple[Number, Number]) -> Fields:
    """The pictures at a size, [height, width]."""
    sized = {name: (channels, *size) for name, (channels, _, _) in pictures(word, fields).items()}
    return {**fields, **{name: replace(fields[name], dims=dims, option=None) for name, dims in sized.items()}}


def smallest(word: str, fields: Fields) -> tuple[int | None, int | None]:
    """The smallest height and width of the pictures, None where one is not known."""
    sides = list(pictures(word, fields).values())
    return _least([side[1] for side in sides]), _least([side[2] for side in sides])


def _least(sizes: list[Number]) -> int | None:
    values = [size.value for size in sizes]
    return None if any(value is None for value in values) else min(int(value or 0) for value in values)
