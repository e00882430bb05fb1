"""What a plan holds of the parts of a recipe that this version checks and cannot run."""

from __future__ import annotations

import json

import pytest
from training_cases import PARTS, PICTURES, TWO, Read, read, spec
from training_mistakes_learning import UPDATE, phase

from dlspec.compiler.training.plan import TrainPlan
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch


def planned(found: Read) -> TrainPlan:
    assert {d.code for d in found.diagnostics} <= {"not-in-this-version"}, [d.message for d in found.diagnostics]
    assert found.plan is not None
    return found.plan


def test_phases_in_order() -> None:
    other = phase(
        "update = [stem, blocks]", "loss = mse(logits, 0)", "optimizer = SGD(lr = 1)", "times = 3", name="two"
    )
    plan = planned(read(spec("pictures", {"loss": None}, PARTS, more=phase(UPDATE) + other)))
    assert plan.runs and plan.loss is None and [*plan.objectives] == ["one_loss", "two_loss"]
    assert [p.name for p in plan.phases] == ["one", "two"]
    assert [[name.text for name in p.update] for p in plan.phases] == [["head"], ["stem", "blocks"]]
    assert [p.times for p in plan.phases] == [1, 3]
    assert [p.optimizer is None for p in plan.phases] == [True, False]
    assert plan.optimizer.word == "AdamW"


def test_phases_with_optimizers_of_their_own_need_none_beside() -> None:
    more = phase(UPDATE, "optimizer = SGD(lr = 1)") + phase(UPDATE, "optimizer = Adam(lr = 1)", name="two")
    plan = planned(read(spec("pictures", {"loss": None, "optimizer": None}, PARTS, more=more)))
    assert plan.optimizer.word == "SGD"


def test_a_phase_without_an_optimizer_is_the_one_that_needs_it() -> None:
    more = phase(UPDATE, "optimizer = SGD(lr = 1)") + phase(UPDATE, name="two")
    found = read(spec("pictures", {"loss": None, "optimizer": None}, PARTS, more=more))
    (error,) = [d for d in found.diagnostics if d.severity == "error"]
    assert (error.code, error.span.text) == ("missing-key", "two")


def test_modules_and_factors() -> None:
    changes: dict[str, str | None] = {
        "rates": "[head = 10, blocks.1.mlp = 10%]",
        "freeze": '[stem, "blocks.0.*"]',
        "ema": "0.999",
        "start": 'weights("m.safetensors", map = ["h.*" -> "blocks.*.mlp"], skip = [head])',
        "parallel": "fsdp + tensor(2)",
        "init": "he(shape = uniform)",
    }
    plan = planned(read(spec("pictures", changes, PARTS)))
    assert [(f.module.text, float(f.factor.value or 0)) for f in plan.rates] == [("head", 10.0), ("blocks.1.mlp", 0.1)]
    assert [(name.text, name.quoted) for name in plan.freeze] == [("stem", False), ("blocks.0.*", True)]
    assert plan.ema is not None and plan.ema.value is not None and float(plan.ema.value) == 0.999
    assert plan.start is not None and plan.start.word == "weights"
    assert [name.text for name in plan.start.modules()] == ["head", "blocks.*.mlp"]
    assert [way.word for way in plan.parallel] == ["fsdp", "tensor"]
    assert plan.init is not None and plan.init.word == "he"


@pytest.mark.parametrize(
    ("name", "quoted", "path", "matches"),
    [
        ("blocks", False, "blocks.0.mlp", True),
        ("blocks.0", False, "blocks.0.mlp", True),
        ("block", False, "blocks.0.mlp", False),
        ("mlp", False, "blocks.0.mlp", False),
        ("blocks.*", True, "blocks.0", True),
        ("blocks.*.mlp", True, "blocks.0.mlp.up", True),
        ("blocks.*", True, "blocks", False),
        ("*.mlp", True, "blocks.0.mlp", False),
        ("blocks.*", False, "blocks.0", False),
    ],
)
def test_what_a_name_matches(name: str, quoted: bool, path: str, matches: bool) -> None:
    from dlspec.compiler.training.modules import ModuleName

    place = Source("a", "").span(0, 0)
    assert ModuleName(name, place, quoted).matches(path) == matches


def test_names_of_modules_are_not_held_against_a_model_that_is_not_known() -> None:
    """A model with a fault of its own: its modules are not known, and nothing is said of them."""
    found = read(
        spec("pictures", {"freeze": "[bananas]", "rates": "[apples = 2]"}, PICTURES.replace("Linear(", "Liner("))
    )
    assert {d.code for d in found.diagnostics} <= {"not-in-this-version"}


def test_losses_and_metrics_of_several_outputs() -> None:
    changes: dict[str, str | None] = {
        "loss": "cross_entropy(logits, data.label) + 0.1 * mse(features, 0) + 1e-4 * l1([linear])",
        "metrics": "[accuracy(logits, data.label), accuracy(logits, data.label, top = 3), mse(features, 0)]",
    }
    plan = planned(read(spec("pictures", changes, TWO)))
    assert [term.loss.word for term in plan.terms] == ["cross_entropy", "mse", "l1"]
    assert [measured.name for measured in plan.metrics] == ["accuracy", "accuracy_top_3", "mse"]


def test_augmentations_are_plain_values_in_settings() -> None:
    data = "digits -> random_crop(8, pad = 2) -> two_views(random_flip(0.3) -> random_rotation(10))"
    model = "dlspec 1\nmodel M: (view1: [B, 1, 8, 8], view2: [B, 1, 8, 8]) -> (logits: [B, 10]) {\n"
    plan = planned(read(spec("pictures", {"data": data}, f"{model}  view1 + view2 -> flatten -> Linear(10)\n}}\n")))
    found = plan.data.settings()
    assert json.loads(json.dumps(found)) == found
    assert found["augmentations"][0] == {"word": "random_crop", "options": {"size": [8, 8], "pad": 2}}
    assert [inner["word"] for inner in found["augmentations"][1]["options"]["flow"]] == [
        "random_flip",
        "random_rotation",
    ]
    assert dict(plan.bind) == {"view1": "view1", "view2": "view2"}


def test_an_early_stop_validates_after_each_pass_where_nothing_is_said() -> None:
    for changes in ({"early_stop": "patience(3)"}, {"schedule": "plateau(3)"}):
        plan = planned(read(spec("pictures", dict[str, str | None](changes))))
        assert plan.validate is not None and plan.validate.as_json() == {"epochs": 1}
    plan = planned(read(spec("pictures", {"early_stop": "patience(3)", "validate": "every(500)"})))
    assert plan.validate is not None and plan.validate.as_json() == {"steps": 500}


@pytest.mark.parametrize(
    ("optimizer", "moments"),
    [
        ("SGD(lr = 1)", 0),
        ("SGD(lr = 1, momentum = 0.9)", 1),
        ("Adam(lr = 1, amsgrad = true)", 3),
        ("AdamW(lr = 1)", 2),
        ("RMSprop(lr = 1)", 1),
        ("RMSprop(lr = 1, momentum = 0.9, centered = true)", 3),
        ("Adagrad(lr = 1)", 1),
        ("Adafactor(lr = 1)", 0),
        ("Lion(lr = 1)", 1),
        ("ScheduleFreeAdamW(lr = 1)", 2),
    ],
)
def test_what_an_optimizer_keeps_for_each_parameter(optimizer: str, moments: int) -> None:
    assert planned(read(spec("pictures", {"optimizer": optimizer}))).optimizer.moments == moments
