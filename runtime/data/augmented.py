"""Data with a flow of augmentations behind its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..picture_steps import steps_of
from ..seeds import derive_seed
from .augmentation import Augmentation, Fields, Ragged
from .augmentations.color_jitter import ColorJitter
from .augmentations.cutmix import Cutmix
from .augmentations.fixed import Fixed
from .augmentations.mask_tokens import MaskTokens
from .augmentations.mixup import Mixup
from .augmentations.random_affine import RandomAffine
from .augmentations.random_blur import RandomBlur
from .augmentations.random_crop import RandomCrop
from .augmentations.random_erasing import RandomErasing
from .augmentations.random_flip import RandomFlip
from .augmentations.random_grayscale import RandomGrayscale
from .augmentations.random_resized_crop import RandomResizedCrop
from .augmentations.random_rotation import RandomRotation
from .augmentations.two_views import TwoViews
from .chance import Draws
from .dataset import Data, Split
from .faults import DataError
from .flow import Flow

Written = Mapping[str, Any]
"""An augmentation as settings hold it: its word and its options."""

# What acts in training only; what cuts to a size at random takes the middle in evaluation (`steps_of`).
TRAINING_ONLY: Mapping[str, Callable[..., Augmentation]] = {
    kind.word: kind
    for kind in (
        ColorJitter,
        Cutmix,
        Mixup,
        RandomAffine,
        RandomBlur,
        RandomCrop,
        RandomErasing,
        RandomFlip,
        RandomGrayscale,
        RandomResizedCrop,
        RandomRotation,
    )
}
WORDS = (*TRAINING_ONLY, "center_crop", "mask_tokens", "normalize", "resize", "two_views")


def augmented(data: Data, written: Sequence[Written], seed: int) -> Data:
    """The data as it leaves the flow. Raises DataError where the flow is not for its fields."""
    training = make_flow(written, data.fields, training=True)
    evaluation = make_flow(written, data.fields, training=False)
    return replace(
        data,
        train=Augmented(data.train, training, evaluation, seed),
        validation=None if data.validation is None else Augmented(data.validation, evaluation, evaluation, seed),
        fields=dict(training.fields),
        read=data.fields,
    )


class Augmented(Split):
    """A split whose examples go through a flow."""

    def __init__(self, split: Split, flow: Flow, evaluation: Flow, seed: int) -> None:
        self._split, self._flow, self._evaluation, self._seed = split, flow, evaluation, seed

    def __len__(self) -> int:
        return len(self._split)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        draws = Draws(derive_seed(self._seed, "augmentations", epoch), ids.numpy())
        batch = self._flow.apply({**self._split.batch(epoch, ids)}, draws)
        return {name: value for name, value in batch.items() if isinstance(value, Tensor)}

    def in_evaluation(self) -> Split:
        return Augmented(self._split.in_evaluation(), self._evaluation, self._evaluation, self._seed)


def make_flow(written: Sequence[Written], fields: Fields, *, training: bool) -> Flow:
    """The flow as it is in training, or in evaluation."""
    stages: list[Augmentation] = []
    for one in written:
        for stage in _stages(one, stages[-1].fields if stages else fields, training=training):
            stages.append(stage)
    return Flow(stages, fields)


def _stages(one: Written, fields: Fields, *, training: bool) -> list[Augmentation]:
    word, options = one["word"], one.get("options") or {}
    if word == "two_views":
        return [TwoViews(fields, lambda image: make_flow(options["flow"], image, training=training))]
    if word == "mask_tokens":
        return [MaskTokens(fields, **options)]
    if word in TRAINING_ONLY and training:
        return [TRAINING_ONLY[word](fields, **options)]
    if word not in WORDS:
        raise DataError(f"this version of dlspec has no augmentation `{word}`", f"there are: {', '.join(WORDS)}")
    stages: list[Augmentation] = []
    for step in steps_of([one]):
        stages.append(Fixed(stages[-1].fields if stages else fields, step))
    return stages


def require_one_size(fields: Fields) -> None:
    """Raises DataError for pictures that still are of several."""
    for name, field in fields.items():
        if isinstance(field, Ragged):
            raise DataError(
                f"the pictures of {name} differ in size, and a batch is of one size",
                "bring them to one: `images(.., size = 224)`, or `-> random_resized_crop(224)` behind it",
            )
