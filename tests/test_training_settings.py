"""What a recipe says about a run, as plain JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_cases import TEXT, plan_of, read, spec

from dlspec.compiler.training.settings import settings

pytestmark = pytest.mark.no_torch
GOLDEN = Path(__file__).parent / "golden"


def of(case: str, changes: dict[str, str | None] | None = None, model: str | None = None) -> dict[str, Any]:
    return settings(plan_of(case, changes, model), "a", {})


@pytest.mark.parametrize("name", ["digits", "gpt"])
def test_the_golden_settings_are_reached(repo: Path, name: str) -> None:
    """The same values in the same order, so that the text is the same."""
    wanted = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    plan = read((repo / "specs" / f"{name}.dlspec").read_text(encoding="utf-8")).plan
    assert plan is not None
    assert json.dumps(settings(plan, name, wanted["model"])) == json.dumps(wanted)


def test_everything_that_may_be_written() -> None:
    changes: dict[str, str | None] = {
        "data": 'text(["a.txt", "b/*.txt"], tokenizer = "t.json", window = context / 2, split = [90%, 5%])',
        "loss": "cross_entropy(logits, data.targets, ignore = pad)",
        "metrics": "[perplexity(logits, data.targets), accuracy(logits, data.targets, top = 5)]",
        "steps": None,
        "epochs": "1.5",
        "batch": "2 * 8",
        "accumulate": "4",
        "clip_value": "0.5",
        "precision": "tf32",
        "seed": "1_000",
        "deterministic": "false",
        "validate": "every(5%)",
        "checkpoint": "every(2 * epoch, keep = 7)",
        "early_stop": 'patience(3, on = "validation.perplexity")',
        "sample": 'every(epoch / 2, prompt = "ROMEO:")',
        "init": "normal(0.02)",
    }
    found = of("text", changes)
    assert found == {
        "schema": 1,
        "name": "a",
        "recipe": "LM",
        "model": {},
        "data": {
            "source": "text",
            "options": {
                "files": ["a.txt", "b/*.txt"],
                "tokenizer": {"kind": "file", "path": "t.json"},
                "window": 32,
                "split": [0.9, 0.05],
            },
        },
        "bind": {"tokens": "tokens"},
        "loss": {
            "arguments": {"logits": "output.logits", "targets": "data.targets"},
            "ignore": 0,
            "classes": {"output": "logits", "width": 256, "field": "targets"},
        },
        "metrics": {
            "arguments": {"logits": "output.logits", "targets": "data.targets"},
            "names": ["perplexity", "accuracy_top_5"],
            "after": {"perplexity": "exp"},
            "ignore": 0,
            "hits": {"accuracy_top_5": {"targets": "targets", "ignore": 0}},
        },
        "steps": None,
        "epochs": 1.5,
        "batch": 16,
        "accumulate": 4,
        "clip": None,
        "clip_value": 0.5,
        "precision": "tf32",
        "seed": 1000,
        "deterministic": False,
        "validate": {"part": 0.05},
        "checkpoint": {"every": {"epochs": 2}, "keep": 7},
        "early_stop": {"patience": 3, "on": "validation.perplexity"},
        "sample": {"every": {"epochs": 0.5}, "prompt": "ROMEO:"},
    }
    assert json.loads(json.dumps(found)) == found
    scheme = plan_of("text", changes).scheme.init
    assert scheme is not None and scheme.drawn == "from N(0, 0.02^2)"


@pytest.mark.parametrize(
    ("case", "data", "options"),
    [
        ("pictures", "digits(split = [0.5, 0.5])", {"split": [0.5, 0.5]}),
        (
            "text",
            'text("a.txt", window = 8)',
            {"files": ["a.txt"], "tokenizer": {"kind": "bytes"}, "window": 8},
        ),
        ("text", 'tokens("a.bin", 8)', {"file": "a.bin", "window": 8}),
        (
            "text",
            'tokens("a.bin", window = 8, dtype = uint32, validation = "b.bin")',
            {"file": "a.bin", "window": 8, "dtype": "uint32", "validation": "b.bin"},
        ),
        ("table", 'arrays("x.npz", split = [0.8, 0.2])', {"file": "x.npz", "split": [0.8, 0.2]}),
        ("table", 'arrays("x.npz", validation = "y.npz")', {"file": "x.npz", "validation": "y.npz"}),
        (
            "text",
            "task(reverse, length = 8, vocab = vocab, examples = 50, validation = 0)",
            {"kind": "reverse", "length": 8, "vocab": 256, "examples": 50, "validation": 0},
        ),
    ],
)
def test_options_of_data(case: str, data: str, options: dict[str, Any]) -> None:
    assert of(case, {"data": data})["data"] == {"source": data.split("(")[0], "options": options}


def test_bpe_is_as_large_as_the_constant() -> None:
    model = TEXT.replace("vocab = 256", "vocab = 8_000")
    data = 'text("a.txt", tokenizer = bpe(vocab), window = 8)'
    assert of("text", {"data": data}, model)["data"]["options"]["tokenizer"] == {"kind": "bpe", "size": 8000}


def test_a_second_recipe_goes_by_its_own_name() -> None:
    text = spec("pictures") + spec("pictures").split("}\n", 1)[1].replace("train MLP", "train MLP as again")
    plan = read(text).plan
    assert plan is not None
    assert (plan.model, plan.recipe) == ("MLP", "again")
    assert settings(plan, "a", {})["recipe"] == "again"


def test_constants_may_hold_any_value() -> None:
    """A number, a text, a list, a recipe: what a constant stands for is what counts."""
    constants = (
        "dlspec 1\nrate = 10 * 6e-5\nopt = AdamW(lr = rate, betas = pair)\npair = [0.9, 0.95]\n"
        'warm = 5%\nname = "bf16"\n'
    )
    model = TEXT.replace("dlspec 1\n", constants)
    changes: dict[str, str | None] = {"optimizer": "opt", "schedule": "warmup(2 * warm)", "precision": "name"}
    plan = plan_of("text", changes, model)
    assert plan.precision == "bf16"
    assert plan.schedule.stages[0].takes is not None
    assert plan.schedule.stages[0].takes.as_json() == {"part": 0.1}
    assert plan.optimizer.lr.value == read(spec("text")).plan.optimizer.lr.value  # type: ignore[union-attr]


LENGTHS = {
    "500": {"steps": 500},
    "1e3": {"steps": 1000},
    "context": {"steps": 64},
    "2 * context": {"steps": 128},
    "5%": {"part": 0.05},
    "10% / 4": {"part": 0.025},
    "2 * 5% + 1%": {"part": 0.11},
    "epoch": {"epochs": 1},
    "3 * epoch": {"epochs": 3},
    "epoch * 3": {"epochs": 3},
    "epoch / 4": {"epochs": 0.25},
    "2 * epoch + epoch": {"epochs": 3},
    "100%": {"part": 1.0},
}


@pytest.mark.parametrize("text", LENGTHS)
def test_lengths(text: str) -> None:
    assert of("text", {"validate": f"every({text})"})["validate"] == LENGTHS[text]


def test_a_constant_called_epoch_is_a_number() -> None:
    model = TEXT.replace("dlspec 1\n", "dlspec 1\nepoch = 7\n")
    assert of("text", {"validate": "every(3 * epoch)"}, model)["validate"] == {"steps": 21}


def test_metrics_that_share_a_name_are_told_apart() -> None:
    changes: dict[str, str | None] = {"metrics": "[mse(output, data.y), mse(output, data.z)]"}
    assert of("table", changes)["metrics"]["names"] == ["mse_y", "mse_z"]


def test_arguments_that_share_a_name_are_told_apart() -> None:
    """A field of the data may be called like an output; a name may be a word of Python."""
    model = "dlspec 1\nmodel Line: (x: [B, 4]) -> (lambda: [B, 1]) {\n  Linear(1)\n}\n"
    changes: dict[str, str | None] = {"loss": "mse(lambda, data.lambda) + mae(lambda, data.math)"}
    assert of("table", changes, model)["loss"]["arguments"] == {
        "lambda_": "output.lambda",
        "data_lambda": "data.lambda",
        "math_": "data.math",
    }


def test_what_only_the_data_can_tell_is_left_to_it() -> None:
    """The shape of a field of a file: the output it is compared with is named, so that it can be checked."""
    assert of("table")["loss"]["alike"] == [{"output": "output", "field": "y"}]
    assert "alike" not in of("pictures")["loss"]
