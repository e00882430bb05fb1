"""Augmentations: of tokens, and what is said where the data does not have what they change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from augmentation_cases import COUNT, batch, data, one, run, text

from dlspec.runtime.data import Data, DataError
from dlspec.runtime.data.augmented import WORDS
from dlspec.runtime.data.rows import Rows


def test_tokens_are_hidden_as_in_bert() -> None:
    source, ids = text(), torch.arange(200)
    before = source.train.batch(0, ids)["tokens"]
    found = run([one("mask_tokens", part=0.15)], source)
    made = found.train.batch(0, ids)
    asked = made["targets"] != -100
    assert not asked[:, -5:].any(), "where nothing was asked before nothing is asked"
    assert asked[:, :-5].float().mean().item() == pytest.approx(0.15, abs=0.012)
    assert torch.equal(made["targets"][asked], before[asked])
    assert torch.equal(made["tokens"][~asked], before[~asked])
    hidden, kept = made["tokens"][asked] == 90, made["tokens"][asked] == before[asked]
    assert hidden.float().mean().item() == pytest.approx(0.8, abs=0.04)
    assert kept.float().mean().item() == pytest.approx(0.1, abs=0.03)
    assert not torch.equal(found.train.batch(1, ids)["tokens"], made["tokens"])
    assert found.validation is not None
    first, second = (found.validation.batch(0, ids[:50]), found.validation.batch(0, ids)["tokens"][:50])
    assert torch.equal(first["tokens"], second) and (first["targets"] != -100).any(), "in evaluation too, always alike"


def test_all_of_mask_tokens_can_be_said() -> None:
    ids = torch.arange(200)
    made = run([one("mask_tokens", part=1, token=7, random=0, kept=0)], text()).train.batch(0, ids)
    assert (made["tokens"][:, :-5] == 7).all() and (made["tokens"][:, -5:] != 7).any()
    same = run([one("mask_tokens", part=0.5, random=0, kept=1)], text()).train.batch(0, ids)
    assert torch.equal(same["tokens"], text().train.batch(0, ids)["tokens"])
    with pytest.raises(DataError, match="hides with the token 91, and there are 91"):
        run([one("mask_tokens", part=0.5, token=91)], text())


# --- what is refused


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ([one("random_flop")], "no augmentation `random_flop`"),
        (
            [one("random_crop", size=[13, 13], pad=1)],
            "`random_crop` cuts 13 pixels, and the smallest picture is 12 high",
        ),
        ([one("center_crop", size=[9, 13])], "`center_crop` cuts 13 pixels, and the smallest picture is 12 wide"),
        ([one("normalize", mean=[0.5], std=[0.5])], "`normalize` has numbers for 1 channels, and image has 3"),
        ([one("mask_tokens", part=0.1)], "`mask_tokens` hides tokens, and the data has no field tokens"),
        ([one("two_views", flow=[]), one("two_views", flow=[])], "there are two views already"),
        ([one("two_views", flow=[one("two_views", flow=[])])], "views of views are not made"),
        ([one("two_views", flow=[one("mixup", alpha=1)])], "`mixup` mixes labels too"),
    ],
)
def test_what_is_refused(flow: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError) as fault:
        run(flow)
    assert message in fault.value.message and fault.value.help


def test_pictures_of_one_channel_have_no_colours() -> None:
    for flow in ([one("random_grayscale")], [one("color_jitter", hue=0.1)]):
        with pytest.raises(DataError, match="changes colours, and image has 1 channels, not 3"):
            run(flow, data(channels=1))
    assert run([one("color_jitter", brightness=0.1, contrast=0.2)], data(channels=1)).train.batch(0, torch.arange(3))


def test_augmentations_are_for_data_that_has_what_they_change() -> None:
    with pytest.raises(DataError, match="`random_flip` is for pictures, and the data has no field image") as fault:
        run([one("random_flip")], text())
    assert fault.value.help == "it has tokens int[50], targets int[50]"
    source = data()
    unlabelled = Data(train=source.train, validation=None, fields={"image": source.fields["image"]})
    with pytest.raises(DataError, match="`mixup` mixes labels too"):
        run([one("mixup", alpha=1)], unlabelled)
    columns = {"image": batch(source.train)["image"], "label": torch.full((COUNT,), -100)}
    ignored = Data(train=Rows(columns, np.arange(COUNT)), validation=None, fields=source.fields)
    with pytest.raises(DataError, match="`mixup` mixes classes, and there are labels of -100"):
        batch(run([one("mixup", alpha=1)], ignored).train)


def test_every_augmentation_of_the_language_runs() -> None:
    from dlspec.compiler.training.language import AUGMENTATIONS

    assert set(WORDS) == set(AUGMENTATIONS.words)
