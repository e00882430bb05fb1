"""Every command and snippet of the README runs, and says what is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dlspec.cli.main import main
from dlspec.compiler.layers import registry
from dlspec.compiler.pipeline import analyse, compile
from dlspec.compiler.semantics.combinators import ENTRIES
from dlspec.compiler.training import registry as training_registry
from dlspec.compiler.training.base import Options as TrainingOptions
from dlspec.compiler.training.key_pages import KEY_PAGES, ONLY_PHASES
from dlspec.grammar import Source, render

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def test_the_specs_are_those_that_ship(repo: Path) -> None:
    gpt, digits, _ = blocks("dlspec")
    assert gpt in (repo / "specs" / "gpt.dlspec").read_text(encoding="utf-8")
    assert digits == (repo / "specs" / "digits.dlspec").read_text(encoding="utf-8")


def test_the_imported_blocks_fit(repo: Path) -> None:
    _, _, small = blocks("dlspec")
    assert compile(Source("small.dlspec", small)).diagnostics == []


def test_the_messages_are_what_is_said(repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message, change = blocks("text")
    digits = Source("digits.dlspec", (repo / "specs" / "digits.dlspec").read_text(encoding="utf-8"))
    (found,) = analyse(digits, ["classes=9"]).diagnostics
    assert render(found) == message.rstrip()
    assert "`dlspec check digits.dlspec --set classes=9`" in README
    gpt = (repo / "specs" / "gpt.dlspec").read_text(encoding="utf-8")
    (tmp_path / "gpt.dlspec").write_text(gpt, encoding="utf-8")
    (tmp_path / "post.dlspec").write_text(gpt.replace("residual(pre =", "residual(post ="), encoding="utf-8")
    assert main(["diff", str(tmp_path / "gpt.dlspec"), str(tmp_path / "post.dlspec")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == change.rstrip()


def test_the_emitted_code_is_what_is_emitted(repo: Path) -> None:
    _, spec, _ = blocks("dlspec")
    files = compile(Source("digits.dlspec", spec)).files
    layer = (repo / "compiler" / "layers" / "silu.py").read_text(encoding="utf-8")
    model, rate, _, _, silu = blocks("python")
    assert model in files["digits.py"]
    assert rate in files["digits_recipe.py"]
    assert silu in layer


@pytest.mark.slow
def test_the_commands_run_as_they_stand(tmp_path: Path) -> None:
    """In an empty directory, one after the other, with the `dlspec` of this environment."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = "set -eu\n" + "\n".join(blocks("sh"))
    run = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    for path in ("code/digits.py", "runs/first/digits.py", "models/digits.onnx", "models/export_report.json"):
        assert (tmp_path / path).is_file(), path
    assert "8,970" in run.stdout
    _, _, *loads, _ = blocks("python")
    for load in loads:
        program = f"{load}\nimport torch\nassert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)"
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment | {"PYTHONPATH": "runs/first"}, check=True
        )


def test_the_make_targets_that_are_named_exist(repo: Path) -> None:
    makefile = (repo / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", README):
        assert re.search(rf"^{target}:", makefile, re.M), target


# --- what this version has ---------------------------------------------------------------------------------------


def named(row: str) -> tuple[set[str], set[str]]:
    """What a row of the table of this version says is run, and what is checked only."""
    ((run, later),) = re.findall(rf"^\| {row} \| (.*?) ?\| ?(.*?) ?\|$", README, re.M)
    return set(re.findall(r"`(\w+)`", run)), set(re.findall(r"`(\w+)`", later))


def parted(runs: dict[str, bool]) -> tuple[set[str], set[str]]:
    return {word for word in runs if runs[word]}, {word for word in runs if not runs[word]}


@pytest.fixture
def samples(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The examples of the reference, placed where they can be analysed."""
    monkeypatch.syspath_prepend(repo / "docs")
    return import_module("sections.samples")


@pytest.mark.parametrize("row", ["layers", "functions"])
def test_the_layers_and_functions_that_are_named_are_those_there_are(row: str, samples: Any) -> None:
    words = [word for word in registry.words() if word[0].isupper() == (row == "layers")]
    assert named(row) == parted({word: samples.of_layer(registry.get(word)).runs for word in words})


def test_the_structure_that_is_named_is_what_there_is(samples: Any) -> None:
    run, later = named("structure")
    assert (run - {"default"}, later) == parted({word: samples.of_combinator(word).runs for word in ENTRIES})


def test_the_keys_that_are_named_are_those_there_are(samples: Any) -> None:
    """The two keys that only a phase has go with it."""
    keys = {word: page.example for word, page in KEY_PAGES.items() if word not in ONLY_PHASES}
    noted = {word: not samples.train_line(example).diagnostics for word, example in keys.items()}
    assert named("keys of `train`") == parted(noted | {"phase": True})


FOLDERS = {
    **{row: row for row in "data augmentations losses metrics optimizers schedules formats".split()},
    "initial weights": "inits",
    "weights to start from": "starts",
    "several devices": "parallel",
}


@pytest.mark.parametrize("row", FOLDERS)
def test_what_a_recipe_can_be_written_with_is_what_there_is(row: str) -> None:
    folder = FOLDERS[row]
    kinds = {word: training_registry.find(folder, word, TrainingOptions) for word in training_registry.words(folder)}
    assert named(row) == parted({word: kind is not None and kind.runs for word, kind in kinds.items()})


# --- what it points to -------------------------------------------------------------------------------------------


def test_no_link_of_the_readme_is_dead(repo: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README):
        target = "".join(target)
        assert (repo / target).exists(), target
