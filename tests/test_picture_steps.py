"""What is done to pictures in evaluation, against PyTorch and Pillow."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dlspec.runtime import picture_steps
from dlspec.runtime.picture_steps import Preparation, preparation_of, size_after, steps_of

SIDE = st.integers(1, 40)


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


@given(SIDE, SIDE, SIDE, SIDE)
def test_resize_is_antialiased_as_in_pytorch(height: int, width: int, tall: int, wide: int) -> None:
    picture = numbers(0, 2, 3, height, width)
    wanted = F.interpolate(torch.from_numpy(picture), (tall, wide), mode="bilinear", antialias=True)
    assert np.allclose(picture_steps.resize(picture, (tall, wide)), wanted.numpy(), atol=2e-6)


def test_resize_is_antialiased_as_in_pillow() -> None:
    picture = numbers(1, 17, 23)
    wanted = Image.fromarray(picture).resize((9, 31), Image.Resampling.BILINEAR)
    assert np.allclose(picture_steps.resize(picture, (31, 9)), np.asarray(wanted), atol=2e-6)


@given(SIDE, SIDE, SIDE, SIDE)
def test_classes_of_pixels_are_not_blurred(height: int, width: int, tall: int, wide: int) -> None:
    """Each new pixel has the class of the old one in which its middle lies."""
    mask = np.random.default_rng(0).integers(0, 9, (1, 1, height, width))
    rows, columns = (
        [int(Fraction(2 * place + 1, 2) * Fraction(old, new)) for place in range(new)]
        for old, new in ((height, tall), (width, wide))
    )
    assert np.array_equal(picture_steps.resize(mask, (tall, wide)), mask[..., rows, :][..., columns])


@given(SIDE, SIDE, SIDE, SIDE)
def test_cover_just_holds_a_size(height: int, width: int, tall: int, wide: int) -> None:
    found = picture_steps.covering((tall, wide), height, width)
    assert found[0] >= tall and found[1] >= wide and (found[0] == tall or found[1] == wide)
    assert picture_steps.cover(numbers(0, 1, height, width), (tall, wide)).shape[1:] == found
    factor = max(tall / height, wide / width)
    assert abs(found[0] - height * factor) <= 0.5 + 1e-9 and abs(found[1] - width * factor) <= 0.5 + 1e-9


def test_cutting_padding_and_normalizing() -> None:
    picture = numbers(0, 2, 3, 7, 8)
    assert np.array_equal(picture_steps.center_crop(picture, (4, 5)), picture[..., 1:5, 1:6])
    padded = picture_steps.pad(picture, 2)
    assert padded.shape == (2, 3, 11, 12) and np.array_equal(padded[..., 2:-2, 2:-2], picture)
    assert padded.sum() == pytest.approx(picture.sum())
    assert picture_steps.pad(np.ones((1, 1, 1), np.int64), 1).tolist() == [[[-100] * 3, [-100, 1, -100], [-100] * 3]]
    mean, std = (0.1, 0.2, 0.3), (0.5, 2.0, 4.0)
    wanted = (picture - np.array(mean).reshape(3, 1, 1)) / np.array(std).reshape(3, 1, 1)
    assert np.allclose(picture_steps.normalize(picture, mean, std), wanted, atol=1e-6)
    assert picture_steps.normalize(picture, mean, std).dtype == np.float32


AUGMENTATIONS = [
    {"word": "random_flip", "options": {}},
    {"word": "two_views", "options": {"flow": [{"word": "random_resized_crop", "options": {"size": [224, 224]}}]}},
    {"word": "random_crop", "options": {"size": [32, 30], "pad": 4}},
    {"word": "mixup", "options": {"alpha": 0.2}},
    {"word": "normalize", "options": {"mean": "imagenet"}},
]
STEPS = (
    ("cover", {"size": [256, 256]}),
    ("center_crop", {"size": [224, 224]}),
    ("pad", {"pixels": 4}),
    ("center_crop", {"size": [32, 30]}),
    ("normalize", {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}),
)


def test_what_is_drawn_leaves_the_middle() -> None:
    assert steps_of(AUGMENTATIONS) == STEPS
    assert steps_of([{"word": "random_crop", "options": {"size": [8, 8], "pad": 0}}]) == (
        ("center_crop", {"size": [8, 8]}),
    )


def test_what_a_released_model_is_told() -> None:
    options = {"folder": "a/", "size": [32, 32]}
    assert preparation_of({"source": "images", "options": options}) == Preparation((32, 32), ())
    section = {"source": "idx", "options": options, "augmentations": AUGMENTATIONS}
    assert preparation_of(section) == Preparation(None, STEPS), "`size` of IDX files scales nothing"
    assert preparation_of({"source": "digits", "options": {}}) is None


@given(st.sampled_from(STEPS), st.integers(224, 300), st.integers(224, 300))
def test_the_size_after_a_step_is_known(step: picture_steps.Step, height: int, width: int) -> None:
    assert picture_steps.apply(step, numbers(0, 3, height, width)).shape[1:] == size_after(step, height, width)
