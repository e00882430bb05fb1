"""What mixup and cutmix share: labels that are parts of several classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..augmentation import Augmentation, Batch, Fields, Ragged, pictures
from ..faults import DataError

LABEL = "label"


def classes_to_mix(word: str, fields: Fields) -> int:
    """How many classes the labels tell apart. Raises DataError where there are no pictures of one size with labels."""
    for name, field in pictures(word, fields).items():
        if isinstance(field, Ragged):
            raise DataError(
                f"`{word}` mixes pictures of one size, and those of {name} have several",
                "bring them to one size first, such as by `random_resized_crop(224)`",
            )
    label = fields.get(LABEL)
    if label is None or label.dtype != "int" or label.dims or label.classes is None:
        raise DataError(
            f"`{word}` mixes labels too, and the data has no field label with a class for each picture", "take it out"
        )
    return label.classes


class Mixing(Augmentation):
    """Labels become the probabilities of the classes, float32 [examples, classes]."""

    def __init__(self, fields: Fields, alpha: float) -> None:
        self._classes = classes_to_mix(self.word, fields)
        self._alpha = alpha
        self.fields = fields

    def mixed_labels(self, batch: Batch, part: float) -> Tensor:
        """`part` of an example's own class, and the rest of its partner's."""
        labels = batch[LABEL]
        assert isinstance(labels, Tensor)
        if not labels.is_floating_point():
            if int(labels.min()) < 0:
                raise DataError(
                    f"`{self.word}` mixes classes, and there are labels of {int(labels.min())}, which are none",
                    f"take those examples out, or `{self.word}`",
                )
            labels = one_hot(labels, self._classes).float()
        return part * labels + (1 - part) * partners(labels)


def partners(values: Tensor) -> Tensor:
    """What each example is mixed with: the one before it, in a batch whose order is drawn."""
    return torch.roll(values, 1, 0)
