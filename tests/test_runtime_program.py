"""Programs from text: they load without a file, can be read back, and start from the same weights everywhere."""

from __future__ import annotations

import inspect
import linecache
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runtime_cases import digits, golden, gpt

from dlspec.runtime.errors import Refused
from dlspec.runtime.program import Program, load_text
from dlspec.runtime.settings import Length, read_settings


def test_source_can_be_read_back() -> None:
    program = digits()
    linecache.clearcache()
    source = inspect.getsource(program.model_module.MLP)
    assert source.startswith("class MLP(nn.Module)") and source in program.model_code
    assert inspect.getsource(program.recipe.loss) in program.recipe_code


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="PyTorch has no TorchScript on Python 3.14")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_reads_it() -> None:
    model = digits().make_model().eval()
    image = torch.rand(3, 1, 8, 8)
    assert torch.equal(torch.jit.script(model)(image), model(image))


def test_a_traceback_shows_the_line() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        digits().make_model()(torch.zeros(2, 3))
    shown = "".join(traceback.format_exception(caught.value))
    assert "digits.py" in shown and "x = F.relu(self.fc1(x))" in shown


def test_a_file_that_lies_there_is_not_taken_for_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_text("decoy", "def answer():\n    return 42\n")
    lie = tmp_path / str(module.__file__)
    lie.parent.mkdir(parents=True)
    lie.write_text("def answer():\n    return 43\n")
    monkeypatch.chdir(tmp_path)
    assert "42" in inspect.getsource(module.answer)


def test_same_text_same_module_other_text_other_module() -> None:
    assert load_text("twin", "x = 1\n") is load_text("twin", "x = 1\n")
    assert load_text("twin", "x = 1\n") is not load_text("twin", "x = 2\n")
    assert load_text("twin", "x = 2\n").x == 2


def test_a_text_that_does_not_load_leaves_nothing() -> None:
    before = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        load_text("broken", "1 / 0\n")
    assert set(sys.modules) == before


def test_initial_weights_hang_on_the_seed_only() -> None:
    one, other = gpt().make_model(), gpt().make_model()
    torch.manual_seed(99)
    third = gpt({"seed": 1}).make_model()
    for (name, a), b, c in zip(one.named_parameters(), other.parameters(), third.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert name.endswith(("norm.weight", "bias")) or not torch.equal(a, c), name


def test_making_a_model_draws_nothing_from_the_global_state() -> None:
    before = torch.get_rng_state()
    gpt().make_model()
    assert torch.equal(before, torch.get_rng_state())


def test_ties_are_made_again() -> None:
    model = gpt().make_model()
    assert model.get_parameter("head.weight") is model.get_parameter("wte.weight")


def test_weights_that_nobody_draws_are_seen() -> None:
    model, recipe, settings = golden("digits")
    forgetful = Program("digits", model.replace("        init_linear(self.fc2, generator)\n", ""), recipe, settings)
    weights = dict(forgetful.make_model().named_parameters())
    assert weights["fc2.weight"].isnan().all() and not weights["fc1.weight"].isnan().any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def learning_rate(step):\n    return step\n", 3),
        ("def learning_rate(step, steps):\n    return step / steps\n", 0.3),
        ("def learning_rate(step, epoch):\n    return step * epoch\n", 15),
        ("def learning_rate(step, steps, epoch):\n    return step + steps + epoch\n", 18),
    ],
)
def test_schedules_are_given_what_they_ask_for(text: str, expected: float) -> None:
    program = replace(digits(), recipe_code=text)
    assert program.learning_rate(3, 10, 5) == expected


def test_what_a_recipe_imports_and_is_not_there_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sacrebleu"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    program = replace(digits(), recipe_code="from sacrebleu.metrics import BLEU\n")
    with pytest.raises(Refused, match="the recipe needs sacrebleu, which is not installed") as refused:
        program.recipe  # noqa: B018
    assert refused.value.help == '`pip install "dlspec[translation]"` brings it.'
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        replace(digits(), recipe_code="import nowhere\n").recipe  # noqa: B018


def test_the_hash_hangs_on_everything() -> None:
    program = digits()
    others = [
        replace(program, name="digit"),
        replace(program, model_code=program.model_code + "\n"),
        replace(program, recipe_code=program.recipe_code + "\n"),
        replace(program, settings={**program.settings, "seed": 1}),
    ]
    assert len({program.hash, *(other.hash for other in others)}) == 5
    assert program.hash == digits().hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema 2"),
        ({"batch": 10, "accumulate": 4}, "a batch of 10 cannot be computed in 4 equal parts"),
        ({"steps": 5}, "exactly one"),
        ({"steps": 0, "epochs": None}, "one step at least"),
        ({"epochs": -1.5}, "one step at least"),
        ({"epochs": None}, "exactly one"),
        ({"precision": "fp8"}, "precision fp8"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_settings({**digits().settings, **change})


def test_lengths() -> None:
    assert Length(steps=7).in_steps(10, 100) == 7
    assert Length(epochs=1.5).in_steps(10, 100) == 15
    assert Length(part=0.05).in_steps(10, 100) == 5
    assert Length(part=0.001).in_steps(10, 100) == 1
