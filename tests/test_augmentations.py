"""Augmentations: what they draw, against what it should be, and that it depends on nothing else."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch
from augmentation_cases import COUNT, batch, data, image, one, run
from torch import Tensor

from dlspec.runtime.data import Data, Field
from dlspec.runtime.data.chance import Draws
from dlspec.runtime.data.rows import Rows

BEFORE = data()
SQUARES = batch(BEFORE.train)["image"]

EVERY = {
    "random_crop": {"size": [8, 9], "pad": 2},
    "random_resized_crop": {"size": [6, 7]},
    "random_flip": {},
    "random_rotation": {"degrees": 30},
    "random_affine": {"degrees": 10, "translate": 0.2, "scale": [0.8, 1.2], "shear": 10},
    "random_erasing": {},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "random_grayscale": {"p": 0.5},
    "random_blur": {},
    "mixup": {"alpha": 0.4},
    "cutmix": {"alpha": 1},
    "two_views": {"flow": [one("random_flip"), one("random_crop", size=[8, 8])]},
}
ALONE = {word: options for word, options in EVERY.items() if word not in ("mixup", "cutmix")}


def views(found: dict[str, Tensor]) -> list[Tensor]:
    return [found[name] for name in ("image", "view1", "view2") if name in found]


# --- what all of them promise


@pytest.mark.parametrize("word", EVERY)
def test_a_batch_is_a_pure_function_of_seed_epoch_and_examples(word: str) -> None:
    flow = [one(word, **EVERY[word])]
    ids = torch.tensor([5, 17, 3, 8])
    first, again = batch(run(flow).train, 3, ids), batch(run(flow).train, 3, ids)
    assert all(torch.equal(first[name], again[name]) for name in first)
    for other in (batch(run(flow).train, 4, ids), batch(run(flow, seed=1).train, 3, ids)):
        assert any(not torch.equal(a, b) for a, b in zip(views(first), views(other), strict=True))


@pytest.mark.parametrize("word", ALONE)
def test_company_makes_no_difference(word: str) -> None:
    split = run([one(word, **ALONE[word])]).train
    together = batch(split, 2)
    for row in (0, 7, 23):
        alone = batch(split, 2, torch.tensor([row]))
        for a, b in zip(views(together), views(alone), strict=True):
            assert torch.allclose(a[row], b[0], atol=1e-6)


@pytest.mark.parametrize("word", EVERY)
def test_what_the_source_keeps_is_not_written_to(word: str) -> None:
    source = data()
    run([one(word, **EVERY[word])], source).train.batch(0, torch.arange(COUNT))
    assert torch.equal(batch(source.train)["image"], SQUARES)


@pytest.mark.parametrize("word", EVERY)
def test_fields_are_what_the_batch_has(word: str) -> None:
    found = run([one(word, **EVERY[word])])
    made = batch(found.train)
    assert made.keys() == found.fields.keys()
    for name, tensor in made.items():
        if name != "label":
            assert tuple(tensor.shape[1:]) == found.fields[name].dims and tensor.dtype == torch.float32


@pytest.mark.parametrize("word", [word for word in EVERY if word != "two_views"])
def test_nothing_is_drawn_in_evaluation(word: str) -> None:
    found = run([one(word, **EVERY[word])])
    for split in (found.validation, found.train.in_evaluation()):
        first, second = batch(split, 0), batch(split, 1)
        assert torch.equal(first["image"], second["image"])
        assert torch.equal(first["label"], torch.arange(COUNT) % 5), "labels are classes"
        if not word.endswith("crop"):
            assert torch.equal(first["image"], SQUARES)
        else:
            assert first["image"].shape[1:] == found.fields["image"].dims


def test_random_crops_are_the_middle_in_evaluation() -> None:
    cut = run([one("random_crop", size=[6, 8], pad=3)]).validation
    assert torch.equal(batch(cut)["image"], SQUARES[:, :, 2:8, 2:10])
    views = batch(run([one("two_views", **EVERY["two_views"])]).validation)
    assert torch.equal(views["view1"], SQUARES[:, :, 1:9, 2:10]) and torch.equal(views["view1"], views["view2"])
    scaled = run([one("random_resized_crop", size=[7, 7])], data((8, 8))).validation
    assert torch.equal(batch(scaled)["image"], batch(data((8, 8)).train)["image"][:, :, :7, :7])


# --- each of them


def test_a_crop_is_a_piece_of_the_padded_picture() -> None:
    cut, padded = image(one("random_crop", size=[8, 9], pad=2)), torch.nn.functional.pad(SQUARES, (2, 2, 2, 2))
    places = set()
    for row in range(COUNT):
        found = [
            (top, left)
            for top in range(14 - 8 + 1)
            for left in range(16 - 9 + 1)
            if torch.equal(cut[row], padded[row, :, top : top + 8, left : left + 9])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > COUNT // 2


def test_places_are_drawn_evenly() -> None:
    draws = Draws(7, np.arange(60_000))
    counts = torch.bincount(draws.below("top", 6), minlength=6)
    assert counts.sum() == 60_000 and (counts - 10_000).abs().max() < 400
    assert draws.uniform("x", -2, 3).min() >= -2 and draws.uniform("x", -2, 3).max() <= 3
    assert draws.uniform("x", -2, 3).mean().item() == pytest.approx(0.5, abs=0.02)
    table = draws.table("t", 3)
    assert torch.corrcoef(table.T)[0, 1].abs() < 0.02
    assert not torch.equal(draws.uniform("x"), draws.uniform("y"))


@pytest.mark.parametrize(("axis", "dim"), [("horizontal", 3), ("vertical", 2)])
def test_a_flip_mirrors_some(axis: str, dim: int) -> None:
    flipped = image(one("random_flip", axis=axis))
    mirrored = [torch.equal(a, b) for a, b in zip(flipped, SQUARES.flip(dim), strict=True)]
    same = [torch.equal(a, b) for a, b in zip(flipped, SQUARES, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True)) and 5 < sum(mirrored) < COUNT - 5
    assert torch.equal(image(one("random_flip", p=1, axis=axis)), SQUARES.flip(dim))
    assert torch.equal(image(one("random_flip", p=0, axis=axis)), SQUARES)


def test_normalize_and_resize_are_in_training_too() -> None:
    found = image(one("normalize", mean="imagenet"))
    mean, std = (torch.tensor(n).reshape(3, 1, 1) for n in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    assert torch.allclose(found, (SQUARES - mean) / std, atol=1e-6)
    small = torch.nn.functional.interpolate(SQUARES, (5, 4), mode="bilinear", antialias=True)
    assert torch.allclose(image(one("resize", size=[5, 4])), small, atol=2e-6)
    assert torch.equal(image(one("center_crop", size=[4, 6])), SQUARES[:, :, 3:7, 3:9])


def test_colours_are_changed_as_their_definitions_say() -> None:
    brighter = image(one("color_jitter", brightness=0.5))
    factors = (brighter / SQUARES).flatten(1).median(1).values
    assert factors.min() >= 0.5 and factors.max() <= 1.5 and len(factors.unique()) == COUNT
    assert torch.allclose(brighter, (SQUARES * factors[:, None, None, None]).clamp(0, 1), atol=1e-5)
    gray = 0.299 * SQUARES[:, 0] + 0.587 * SQUARES[:, 1] + 0.114 * SQUARES[:, 2]
    middle = gray.mean((1, 2))[:, None, None, None]
    for options, other in (({"contrast": 0.3}, middle), ({"saturation": 0.3}, gray[:, None])):
        changed = image(one("color_jitter", **options))
        factor = ((changed - other) / (SQUARES - other)).flatten(1).median(1).values[:, None, None, None]
        assert factor.min() >= 0.7 - 1e-5 and factor.max() <= 1.3 + 1e-5
        assert torch.allclose(changed, (factor * SQUARES + (1 - factor) * other).clamp(0, 1), atol=1e-4)
    assert torch.equal(image(one("color_jitter", brightness=0.5, p=0)), SQUARES)


def test_hue_is_turned_as_in_colorsys() -> None:
    turned = image(one("color_jitter", hue=0.5))
    for row in range(COUNT):
        turns = set()
        for before, after in zip(SQUARES[row].flatten(1).T[:20], turned[row].flatten(1).T[:20], strict=True):
            (h, s, v), (h2, s2, v2) = colorsys.rgb_to_hsv(*before.tolist()), colorsys.rgb_to_hsv(*after.tolist())
            assert (s2, v2) == pytest.approx((s, v), abs=1e-5)
            turns.add(round((h2 - h) % 1, 3) % 1)
        assert max(turns) - min(turns) < 2e-3 or max(turns) - min(turns) > 0.998, "one turn for a picture"
    plain = torch.full((COUNT, 3, 10, 12), 0.3)
    source = data()
    source = Data(
        train=Rows({"image": plain}, np.arange(COUNT)), validation=None, fields={"image": BEFORE.fields["image"]}
    )
    assert torch.allclose(image(one("color_jitter", hue=0.5), source=source), plain), "gray has no hue"


def test_grayscale_has_three_channels_alike() -> None:
    found = image(one("random_grayscale", p=0.5))
    gray = (0.299 * SQUARES[:, 0] + 0.587 * SQUARES[:, 1] + 0.114 * SQUARES[:, 2])[:, None].expand(-1, 3, -1, -1)
    chosen = [torch.allclose(a, b) for a, b in zip(found, gray, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(found, SQUARES, strict=True)]
    assert all(a != b for a, b in zip(chosen, same, strict=True)) and 4 < sum(chosen) < COUNT - 4


def test_a_blur_is_a_gaussian() -> None:
    source = data((31, 31), channels=1)
    point = torch.zeros(COUNT, 1, 31, 31)
    point[:, :, 15, 15] = 1
    source = Data(
        train=Rows({"image": point}, np.arange(COUNT)), validation=None, fields={"image": source.fields["image"]}
    )
    blurred = image(one("random_blur", p=1, std=[0.5, 2]), source=source)
    assert torch.allclose(blurred.sum((1, 2, 3)), torch.ones(COUNT), atol=1e-5), "no light is lost"
    away = torch.arange(31) - 15
    deviations = (blurred.sum((1, 2)) * away**2).sum(1).sqrt()
    assert deviations.min() >= 0.4 and deviations.max() <= 2.01 and deviations.max() - deviations.min() > 1
    profile = torch.exp(-0.5 * (away / deviations[0]) ** 2)
    assert torch.allclose(blurred[0, 0, 15] / blurred[0, 0, 15, 15], profile, atol=0.02)
    assert torch.equal(image(one("random_blur", p=0)), SQUARES)
    tiny = image(one("random_blur", p=1), source=data((1, 2)))
    assert torch.isfinite(tiny).all(), "smaller than the blur reaches"


def test_erasing_makes_one_rectangle_black() -> None:
    source = data((40, 40))
    before = batch(source.train)["image"]
    found = image(one("random_erasing", p=1, scale=[0.1, 0.3], ratio=[0.5, 2]), source=source)
    for row in range(COUNT):
        gone = (found[row] == 0).all(0)
        rows, columns = (gone.any(axis).nonzero().flatten() for axis in (1, 0))
        tall, wide = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        assert gone.sum() == tall * wide, "a rectangle"
        assert 0.08 <= tall * wide / 1600 <= 0.33 and 0.4 <= wide / tall <= 2.4
        assert torch.equal(found[row][:, ~gone], before[row][:, ~gone])
    assert 6 < sum(torch.equal(a, b) for a, b in zip(image(one("random_erasing", p=0.5)), SQUARES, strict=True)) < 18


def test_a_resized_crop_lies_inside_and_is_scaled() -> None:
    """Of a picture that grows evenly to the right and down, a piece grows evenly too: its corners say where it lay."""
    down, right = torch.linspace(0, 1, 40)[:, None].expand(40, 40), torch.linspace(0, 1, 40).expand(40, 40)
    ramp = torch.stack([down, right, down * 0]).expand(COUNT, -1, -1, -1)
    source = Data(
        train=Rows({"image": ramp}, np.arange(COUNT)), validation=None, fields={"image": Field("float", (3, 40, 40))}
    )
    found = image(one("random_resized_crop", size=[9, 9], scale=[0.2, 0.6], ratio=[0.75, 1.3333]), source=source)
    talls = (found[:, 0, 4, 4] - found[:, 0, 3, 4]) * 9 * 39
    wides = (found[:, 1, 4, 4] - found[:, 1, 4, 3]) * 9 * 39
    area, shape = talls * wides / 1600, wides / talls
    assert area.min() > 0.17 and area.max() < 0.64 and area.max() - area.min() > 0.2
    assert shape.min() > 0.65 and shape.max() < 1.5
    whole = image(one("random_resized_crop", size=[10, 12], scale=[1, 1], ratio=[1.2, 1.2]))
    assert torch.allclose(whole, SQUARES, atol=1e-6)


@pytest.mark.parametrize("word", ["random_rotation", "random_affine"])
def test_a_warp_that_does_nothing(word: str) -> None:
    assert torch.allclose(image(one(word, degrees=0)), SQUARES, atol=1e-5)


def moved(source: Tensor, matrix: np.ndarray, shift: tuple[float, float]) -> Tensor:
    """Where each pixel comes from, worked out one by one: the twin of `warp`."""
    height, width = source.shape[2:]
    inverse = np.linalg.inv(matrix)
    found = torch.zeros_like(source)
    for y in range(height):
        for x in range(width):
            away = np.array([x - (width - 1) / 2 - shift[0], y - (height - 1) / 2 - shift[1]])
            sx, sy = inverse @ away + [(width - 1) / 2, (height - 1) / 2]
            for ix in (math.floor(sx), math.floor(sx) + 1):
                for iy in (math.floor(sy), math.floor(sy) + 1):
                    if 0 <= ix < width and 0 <= iy < height:
                        weight = (1 - abs(sx - ix)) * (1 - abs(sy - iy))
                        found[:, :, y, x] += weight * source[:, :, iy, ix]
    return found


def test_a_warp_is_what_its_matrix_says() -> None:
    from dlspec.runtime.data.augmentations.warp import warp

    turn, scale, shear, right, down = 0.4, 1.3, 0.2, 1.5, -2.25
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    wanted = moved(SQUARES[:2], scale * rotation @ np.array([[1, math.tan(shear)], [0, 1]]), (right, down))
    numbers = {"turn": turn, "scale": scale, "shear": shear, "right": right, "down": down}
    each = {name: torch.full((2,), number, dtype=torch.float64) for name, number in numbers.items()}
    assert torch.allclose(warp(SQUARES[:2], **each), wanted, atol=1e-4)


def test_rotations_are_drawn_within_their_bounds() -> None:
    """A bar through the middle of the picture lies at the angle it was turned by."""
    bar = torch.zeros(COUNT, 1, 41, 41)
    bar[:, :, 20, 22:] = 1
    source = Data(
        train=Rows({"image": bar}, np.arange(COUNT)), validation=None, fields={"image": Field("float", (1, 41, 41))}
    )
    turned = image(one("random_rotation", degrees=60), source=source)
    away = torch.arange(41) - 20.0
    angles = torch.rad2deg(torch.atan2((turned[:, 0] * away[:, None]).sum((1, 2)), (turned[:, 0] * away).sum((1, 2))))
    assert angles.abs().max() <= 60.5 and angles.min() < -30 and angles.max() > 30


# --- what goes along


def test_masks_and_pictures_are_moved_together() -> None:
    mask = (SQUARES[:, 0] * 100).round().long()
    depth = SQUARES[:, :1].clone()
    source = data(mask=mask, depth=depth, edge=mask > 50)
    flow = [one("random_flip"), one("random_crop", size=[9, 9], pad=1), one("color_jitter", brightness=0.3)]
    found = run(flow, source)
    assert found.fields["mask"].dims == (9, 9) and found.fields["depth"].dims == (1, 9, 9)
    made = batch(run(flow[:2], source).train)
    inside = made["mask"] >= 0
    assert not inside.all() and (made["mask"][~inside] == -100).all(), "what comes in is of no class"
    assert torch.equal(made["mask"][inside], (made["image"][:, 0] * 100).round().long()[inside])
    assert torch.equal(made["depth"][:, 0], made["image"][:, 0])
    assert torch.equal(made["edge"][inside], made["mask"][inside] > 50) and made["edge"].dtype == torch.bool
    assert torch.equal(batch(found.train)["mask"], made["mask"]), "colours change pictures only"
    turned = batch(run([one("random_rotation", degrees=40)], source).train)
    near = turned["mask"] >= 0
    assert set(turned["mask"].unique().tolist()) <= {*mask.unique().tolist(), -100} and 0.5 < near.float().mean() < 1
    scaled = batch(run([one("random_resized_crop", size=[5, 6])], source).train)
    assert scaled["mask"].shape == (COUNT, 5, 6) and set(scaled["mask"].unique().tolist()) <= {*mask.unique().tolist()}


# --- labels that are mixed


@pytest.mark.parametrize("word", ["mixup", "cutmix"])
def test_labels_are_mixed_as_pictures_are(word: str) -> None:
    parts = set()
    for epoch in range(8):
        made = batch(run([one(word, alpha=0.8)]).train, epoch)
        label, partner = made["label"], (torch.arange(COUNT) - 1) % COUNT % 5
        assert label.shape == (COUNT, 5) and torch.allclose(label.sum(1), torch.ones(COUNT))
        part = float(label[0, 0])
        own = torch.nn.functional.one_hot(torch.arange(COUNT) % 5, 5)
        assert torch.allclose(label, part * own + (1 - part) * torch.nn.functional.one_hot(partner, 5), atol=1e-6)
        rolled = SQUARES.roll(1, 0)
        if word == "mixup":
            assert torch.allclose(made["image"], part * SQUARES + (1 - part) * rolled, atol=1e-6)
        else:
            own_pixels = (made["image"] == SQUARES).all(1)
            assert torch.equal(made["image"].movedim(1, 3)[~own_pixels], rolled.movedim(1, 3)[~own_pixels])
            assert own_pixels[0].float().mean().item() == pytest.approx(part, abs=1e-6)
        parts.add(part)
    assert len(parts) > 4 and min(parts) < 0.5 < max(parts)


def test_both_mix_what_is_mixed() -> None:
    label = batch(run([one("mixup", alpha=0.4), one("cutmix", alpha=1)]).train)["label"]
    assert torch.allclose(label.sum(1), torch.ones(COUNT)) and ((label > 0).sum(1) > 2).any()


def test_the_part_of_mixup_is_of_a_beta_distribution() -> None:
    split = run([one("mixup", alpha=0.4)]).train
    parts = np.array([float(batch(split, epoch)["label"][0, 0]) for epoch in range(400)])
    assert parts.mean() == pytest.approx(0.5, abs=0.06)
    assert parts.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02)  # of Beta(a, a): 1 / (4 (2a + 1))


# --- two views


def test_two_views_draw_for_themselves() -> None:
    made = batch(run([one("two_views", flow=[one("random_flip")]), one("random_flip", axis="vertical")]).train)
    kinds = set()
    for row in range(COUNT):
        for name in ("view1", "view2"):
            ways = {
                (): SQUARES[row],
                (2,): SQUARES[row].flip(2),
                (1,): SQUARES[row].flip(1),
                (1, 2): SQUARES[row].flip(1, 2),
            }
            kinds.add((name, next(way for way, picture in ways.items() if torch.equal(picture, made[name][row]))))
    assert len(kinds) == 8, "each view is flipped, and flipped again behind it, in every way"
    assert "image" not in made
